"""The gated delta rule in Triton against the recurrence, in Triton's interpreter or on the GPU.

Unwritten outputs would be NaN: torch fills what it allocates while deterministic algorithms are on.
"""

import pytest
import torch

from engine import Engine
from kernels.delta import delta_chunked, delta_recurrent
from kernels.delta.triton import delta_chunked_triton
from kernels.triton_ops import TritonOps
from tests.golden import DATA
from tests.triton_device import DEVICE, filled

__all__ = ["filled"]  # a fixture


def _inputs(length, strength, heads=2, key=24, value=20, given=True):
    draw = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(heads, length, width, generator=draw) for width in (key, key, value))
    decay = -strength * torch.rand(heads, length, generator=draw)
    beta = torch.rand(heads, length, generator=draw)
    state = torch.randn(heads, key, value, generator=draw) if given else None
    return [None if x is None else x.to(DEVICE) for x in (q, k, v, decay, beta, state)]


def _worst(ours, truth):
    """Largest difference of outputs or state, as a share of the largest true value."""
    pairs = zip(ours, truth, strict=True)
    return max(float((a.cpu().double() - b).abs().max() / b.abs().max()) for a, b in pairs)


def _truth(inputs):
    return delta_recurrent(*(None if x is None else x.cpu().double() for x in inputs))


@pytest.mark.parametrize(("length", "strength", "given"), [(1, 0.5, True), (5, 2.0, False), (131, 0.1, True)])
@pytest.mark.parametrize("bf16", [False, True])
def test_outputs_and_final_state_equal_the_recurrence(length, strength, given, bf16):
    inputs = _inputs(length, strength, given=given)
    # float32: sums over 24 channels and 64 writes round by 2^-24 each. bfloat16: eight rounded factors stand
    # between an input and an output (2^-8 each, for the interpreter cuts where a GPU rounds); what a chunk
    # gets wrong the next ones shrink, as they shrink the state.
    limit = 8 * 2**-8 if bf16 else 2**-24 * (24 + 64)
    assert _worst(delta_chunked_triton(*inputs, bf16=bf16), _truth(inputs)) < limit


def test_the_state_carries_over_and_nothing_read_leaves_it():
    *parts, state = _inputs(70, 0.3, heads=1, key=16, value=16)
    whole, final = delta_chunked_triton(*parts, state)
    pieces = []
    for start, stop in ((0, 0), (0, 1), (1, 66), (66, 70)):
        out, state = delta_chunked_triton(*(x[:, start:stop] for x in parts), state)
        pieces.append(out)
    assert _worst((torch.cat(pieces, 1), state), (whole.cpu().double(), final.cpu().double())) < 2**-24 * 80


@pytest.mark.parametrize("strength", [1e4, float("inf")])
def test_strong_decays_stay_finite_and_keep_the_digits_of_mild_ones(strength):
    inputs = _inputs(70, 0.0, heads=1, key=16, value=16)
    inputs[3][:, 40::7], inputs[3][:, 41::7] = -strength, -0.05
    assert _worst(delta_chunked_triton(*inputs), _truth(inputs)) < 2**-24 * 80


def test_a_key_written_again_and_again_holds_its_last_value():
    """Every overlap is 1: an inverse by powers of the overlaps would lose all digits."""
    _, _, v, _, _, _ = inputs = _inputs(70, 0.0, heads=1, key=16, value=16)
    key = inputs[1][:, :1].expand(1, 70, 16)
    ones = torch.ones(1, 70, device=DEVICE)
    _, state = delta_chunked_triton(key, key, v, 0 * ones, ones)
    held = torch.nn.functional.normalize(key[:, -1], dim=-1) @ state[0]
    torch.testing.assert_close(held, v[:, -1], rtol=0, atol=2**-24 * 64 * 4)


def test_heads_side_by_side_in_memory_are_read_where_they_lie():
    inputs = _inputs(67, 0.2)
    apart = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in inputs[:5]]
    for ours, same in zip(
        delta_chunked_triton(*apart, inputs[5]), delta_chunked_triton(*inputs), strict=True
    ):
        assert torch.equal(ours, same)


def test_a_model_with_sparse_states_computes_them_by_its_backend(monkeypatch):
    engine = Engine.load(DATA / "sse_swa_moba_tiny", kernels="torch")
    seen = []

    def counted(*inputs):
        seen.append(inputs[0].shape[1])
        return delta_chunked(*inputs)

    monkeypatch.setattr(engine.decoder.ops, "gated_delta_rule", counted)
    engine.logits([5, 6, 7])
    assert seen.count(3) >= sum(layer.sparse is not None for layer in engine.config.layers)


def test_the_triton_backend_takes_the_delta_rule():
    inputs = _inputs(5, 0.5)
    assert _worst(TritonOps(torch.float32).gated_delta_rule(*inputs), _truth(inputs)) < 2**-24 * (24 + 64)
