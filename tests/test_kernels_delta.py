"""The gated delta rule: recurrence and chunked form against the reference tensors and each other."""

from itertools import pairwise

import pytest
import torch

from kernels.delta import delta_chunked, delta_recurrent
from tests.golden import cases, tensors

NAMES = [case["name"] for case in cases("sse_ops") if case["kind"] == "gdn"]


def _inputs(name, dtype):
    """q, k, v [B, H, T, K], log decay and strength [B, H, T], state [B, H, K, V]."""
    data = tensors("sse_ops")
    parts = [data[f"{name}.{part}"].transpose(1, 2) for part in ("q", "k", "v", "g", "beta")]
    return [part.to(dtype) for part in (*parts, data[f"{name}.initial_state"])]


def _random(length, seed=0, dtype=torch.float64, strength=1.0):
    draw = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(3, length, 8, generator=draw, dtype=dtype) for _ in range(3))
    decay = -strength * torch.rand(3, length, generator=draw, dtype=dtype)
    beta = torch.rand(3, length, generator=draw, dtype=dtype)
    return q, k, v, decay, beta, torch.randn(3, 8, 8, generator=draw, dtype=dtype)


def _worst(out, expected):
    return float((out.double() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_recurrence_equals_the_reference(name, dtype, limit):
    out, state = delta_recurrent(*_inputs(name, dtype))
    expected = tensors("sse_ops")
    assert _worst(out.transpose(1, 2), expected[f"{name}.o"]) < limit
    assert _worst(state, expected[f"{name}.final_state"]) < limit


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_chunked_form_equals_the_reference(name, dtype, limit):
    expected = tensors("sse_ops")
    for b, parts in enumerate(zip(*_inputs(name, dtype), strict=True)):
        out, state = delta_chunked(*parts)
        assert _worst(out.transpose(0, 1), expected[f"{name}.o"][b]) < limit
        assert _worst(state, expected[f"{name}.final_state"][b]) < limit


@pytest.mark.parametrize("length", [1, 2, 3, 15, 63, 64, 65, 127, 128, 130, 200])
@pytest.mark.parametrize("strength", [0.0, 0.1, 5.0])
def test_chunked_form_equals_the_recurrence_at_any_length(length, strength):
    parts = _random(length, length, strength=strength)
    for given in (parts, parts[:-1]):
        for ours, truth in zip(delta_chunked(*given), delta_recurrent(*given), strict=True):
            torch.testing.assert_close(ours, truth, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("cuts", [(0, 1, 2, 66, 67, 150), (0, 64, 128, 150), (0, 149, 150), (0, 0, 150)])
def test_the_state_carries_over_from_call_to_call(cuts):
    *parts, state = _random(150, 7)
    whole, final = delta_chunked(*parts, state)
    pieces = []
    for start, stop in pairwise(cuts):
        out, state = delta_chunked(*(part[:, start:stop] for part in parts), state)
        pieces.append(out)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(state, final, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("strength", [1e2, 1e4, 1e30, float("inf")])
def test_strong_decay_stays_finite_and_true_in_float32(strength):
    q, k, v, _, beta, state = _random(150, 3, torch.float32)
    decay = torch.zeros(3, 150)
    decay[:, 40::7] = -strength
    decay[:, 41::7] = -0.05  # a mild decay after a strong one is not lost in its digits
    out, final = delta_chunked(q, k, v, decay, beta, state)
    assert out.isfinite().all()
    assert final.isfinite().all()
    truth = delta_recurrent(*(x.double() for x in (q, k, v, decay, beta, state)))
    assert _worst(out, truth[0]) < 1e-5
    assert _worst(final, truth[1]) < 1e-5


def test_a_key_written_again_and_again_holds_its_last_value():
    """With strength 1 the rule replaces what a key held; sums of thousands of writes would explode."""
    k = torch.randn(1, 1, 16).expand(1, 3000, 16)
    v = torch.randn(1, 3000, 16)
    _, state = delta_chunked(k, k, v, torch.zeros(1, 3000), torch.ones(1, 3000))
    held = torch.nn.functional.normalize(k[:, -1], dim=-1) @ state[0]
    torch.testing.assert_close(held, v[:, -1], rtol=0, atol=1e-4)


def test_nothing_read_leaves_the_state():
    *parts, state = _random(0)
    out, final = delta_chunked(*parts, state)
    assert out.shape == (3, 0, 8)
    assert torch.equal(final, state)


def test_the_number_of_steps_does_not_follow_the_number_of_tokens(monkeypatch):
    """Only chunks are looped over: the recurrence is left to single tokens."""
    calls = []

    def counted(*parts):
        calls.append(parts)
        return delta_recurrent(*parts)

    monkeypatch.setattr("kernels.delta.cpu.delta_recurrent", counted)
    *parts, state = _random(2)
    delta_chunked(*parts, state)
    assert not calls
    delta_chunked(*(part[:, :1] for part in parts), state)
    assert len(calls) == 1
