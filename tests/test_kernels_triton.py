"""Triton kernels against the plain references, in Triton's interpreter (or on the GPU where there is one).

Unwritten outputs would be NaN or 127: torch fills what it allocates while deterministic algorithms are on.
"""

import numpy as np
import pytest
import torch

from kernels.event import event_linear_reference
from kernels.event.triton import event_linear_triton
from kernels.gla import gla_recurrent
from kernels.gla.triton import gla_chunked_triton
from kernels.hamming import hamming_distances_reference
from kernels.hamming.triton import hamming_distances_triton
from kernels.int8 import group_linear_reference, quantize_groups, quantize_rows, spike_linear_reference
from kernels.int8.triton import spike_linear_triton
from kernels.rotary import rotate
from kernels.rotary.triton import rotate_triton
from kernels.spike import encode, norm_encode
from kernels.spike.triton import ListedSpikes, encode_triton
from kernels.window import Sinks, window_attention_reference
from kernels.window.triton import window_attention_triton
from tests.triton_device import DEVICE, filled

__all__ = ["filled"]  # a fixture


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def _apart(ours: torch.Tensor, truth: torch.Tensor) -> float:
    """Largest difference, as a share of the largest true value."""
    return float((ours.cpu().double() - truth.cpu().double()).abs().max() / truth.abs().max())


GLA = [(1, 3, 2.0, False), (5, 1, 0.5, True), (67, 3, 0.5, False), (130, 1, 0.2, True), (37, 1, 50.0, True)]


@pytest.mark.parametrize(("length", "group", "decay", "given"), GLA)
@pytest.mark.parametrize("bf16", [False, True])
def test_gated_linear_attention_and_its_final_state(length, group, decay, given, bf16):
    q, k, v = _normal(1, group, length, 24), _normal(1, length, 24, seed=1), _normal(1, length, 20, seed=2)
    gates = -_normal(1, length, 24, seed=3).abs() * decay
    start = _normal(1, 24, 20, seed=4) if given else None
    out, final = gla_chunked_triton(q, k, v, gates, start, bf16=bf16)
    held = start.cpu().double() if given else torch.zeros(1, 24, 20, dtype=torch.float64)
    for g in range(group):
        double = (x.cpu().double() for x in (q[:, g], k, v, gates))
        truth, last = gla_recurrent(*double, held)
        # float32: exponents up to |sum of decays| are off by 2^-24 of it, so is what they weigh; bfloat16:
        # both factors of a product are rounded (2^-9 each), twice on the way through the pair weights.
        limit = 4 * 2**-9 if bf16 else 2**-24 * (100 + float(gates.sum(1).abs().max()))
        assert _apart(out[:, g], truth) < 2 * limit
        assert _apart(final, last) < 2 * limit


def test_decays_strong_and_weak_side_by_side_stay_finite():
    q, k, v = _normal(1, 1, 20, 16), _normal(1, 20, 16, seed=1), _normal(1, 20, 16, seed=2)
    gates = torch.full((1, 20, 16), -1e-6, device=DEVICE)
    gates[:, 7:9, ::2] = -200.0
    out, final = gla_chunked_triton(q, k, v, gates)
    truth, last = gla_recurrent(*(x.cpu().double() for x in (q[:, 0], k, v, gates)))
    assert _apart(out[:, 0], truth) < 2**-24 * 800
    assert _apart(final, last) < 2**-24 * 800


ATTENTION = [
    (30, 70, 16, 16, 6, 2, 24, 4),
    (17, 1, 16, 16, 9, 3, 16, 4),
    (100, 3, 300, 300, 4, 2, 80, 16),
    (5, 65, 5, -1, 2, 1, 16, 0),
    (0, 50, 0, 16, 2, 2, 32, 1),
]


@pytest.mark.parametrize(("position", "count", "past", "left", "heads", "kv", "dim", "amount"), ATTENTION)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_window_attention(position, count, past, left, heads, kv, dim, amount, dtype):
    q, plain = (_normal(count, heads, dim, seed=s).transpose(0, 1) for s in (1, 2))
    k, v = (_normal(kv, count + past, dim, seed=s).to(dtype) for s in (3, 4))
    sinks = None
    if amount:
        sink_keys, sink_values = (_normal(kv, amount, dim, seed=s).to(dtype) for s in (5, 6))
        sinks = Sinks(sink_keys, sink_values, plain, position)
    truth, _ = window_attention_reference(q, k, v, left, sinks)
    out = window_attention_triton(q, k, v, left, sinks)
    assert out.shape == (count, heads, dim)
    # A score of about 4 in base 2 is 6, off by 6 roundings of 2^-24 (2^-9 in bfloat16, weights rounded too).
    limit = (8 * 2**-9 if dtype == torch.bfloat16 else 64 * 2**-24) * float(v.abs().max())
    assert float((out.transpose(0, 1) - truth).abs().max()) < limit


def test_scores_of_hundreds_neither_overflow_nor_vanish():
    q, k, v = _normal(2, 20, 16) * 60, _normal(1, 20, 16, seed=1) * 60, _normal(1, 20, 16, seed=2)
    out = window_attention_triton(q, k, v, -1)
    assert out.isfinite().all()
    assert float(out.abs().max()) <= float(v.abs().max()) * 1.01


def _bursty(rows: int, width: int) -> torch.Tensor:
    x = _normal(rows, width, seed=rows)
    x[:, 3] *= 300
    x[rows // 2, 7] *= 5000
    return x


def _same_spikes(ours: ListedSpikes, theirs) -> None:
    torch.testing.assert_close(ours.vth, theirs.vth, rtol=1e-5, atol=0)
    different = ours.counts() != theirs.counts()
    # A quotient within float noise of a half may round to its other neighbour.
    assert float(different.float().mean()) < 1e-3
    assert int((ours.counts() - theirs.counts()).abs().max()) <= 1


@pytest.mark.parametrize(("rows", "width"), [(1, 577), (37, 96), (130, 64)])
def test_encoding_with_and_without_norm(rows, width):
    x, weight = _bursty(rows, width), torch.rand(width).to(DEVICE) + 0.5
    plain = encode_triton(x, 3.0)
    _same_spikes(plain, encode(x, 3.0))
    _same_spikes(encode_triton(x, 3.0, weight, 1e-5), norm_encode(x, weight, 1e-5, 3.0))
    assert int(plain.counts().abs().max()) > 127
    sample = plain.counts()[::32]
    assert torch.equal(plain.counts(slice(None, None, 32)), sample)
    bits = np.bitwise_count(sample.abs().cpu().numpy()).sum(axis=1)
    assert plain.fired.cpu().tolist() == [
        [int(b), int((s == 0).sum())] for b, s in zip(bits, sample, strict=True)
    ]


def test_every_burst_the_threshold_allows_has_room():
    x = torch.zeros(2, 4000, device=DEVICE)
    x[0, ::40] = 1.0
    counts = encode_triton(x, 8.0).counts()
    assert torch.equal(counts, encode(x, 8.0).counts())
    assert int(counts.max()) == 320


def test_bursts_beyond_the_clip_of_the_threshold_are_not_lost_unseen():
    spikes = encode_triton(torch.full((1, 64), 1e9, device=DEVICE), 3.0)
    assert spikes.vth.isnan().all()


@pytest.mark.parametrize("rows", [1, 3, 130])
def test_product_is_exact_before_scaling(rows):
    spikes = encode_triton(_bursty(rows, 577), 3.0)
    codes, scale = quantize_rows(_normal(90, 577, seed=9))
    truth = spike_linear_reference(spikes.counts(), spikes.vth, codes, scale)
    # The integer sum is exact below 2^31; its conversion and two products round by 2^-24 each.
    torch.testing.assert_close(
        spike_linear_triton(spikes, codes, scale).double(), truth, rtol=4 * 2**-24, atol=0
    )
    base = _normal(rows, 90)
    added = spike_linear_triton(spikes, codes, scale, add_to=base.clone())
    torch.testing.assert_close(
        added.double(), truth + base, rtol=4 * 2**-24, atol=2**-24 * float(truth.abs().max())
    )
    gate, up = truth[:, :45], truth[:, 45:]
    joined = spike_linear_triton(spikes, codes, scale, gated=True)
    # An exponential of x is off by |x| 2^-24 relative; silu damps what is far below zero.
    assert _apart(joined, torch.nn.functional.silu(gate) * up) < 32 * 2**-24


def test_product_by_groups_of_channels():
    spikes = encode_triton(_bursty(33, 256), 3.0)
    weight = _normal(90, 256, seed=9)
    codes, scale, _ = quantize_groups(weight, weight.view(90, 2, 128).abs().amax(-1) / 127)
    truth = group_linear_reference(spikes.counts(), spikes.vth, codes, scale)
    assert _apart(spike_linear_triton(spikes, codes, scale), truth) < 16 * 2**-24


@pytest.mark.parametrize(("width", "outputs"), [(96, 70), (64, 130)])
def test_event_driven_product_reads_firing_channels_only(width, outputs):
    spikes = encode_triton(_bursty(1, width), 3.0)
    codes, scale = quantize_rows(_normal(outputs, width, seed=9))
    counts, columns = spikes.counts()[0], codes.T.contiguous()
    truth = event_linear_reference(counts.cpu(), spikes.vth[0].cpu(), columns.cpu(), scale.cpu())
    out = event_linear_triton(counts, spikes.vth[0], columns, scale)
    torch.testing.assert_close(out.cpu().double(), truth, rtol=4 * 2**-24, atol=0)
    silent = torch.zeros_like(counts)
    assert not event_linear_triton(silent, spikes.vth[0], columns, scale).any()


@pytest.mark.parametrize("size", [4, 64])
def test_hamming_distances(size):
    codes = np.random.default_rng(0).integers(0, 256, (1031, size), dtype=np.uint8)
    ours = hamming_distances_triton(torch.from_numpy(codes).to(DEVICE), torch.from_numpy(codes[7]).to(DEVICE))
    assert np.array_equal(ours.cpu().numpy(), hamming_distances_reference(codes, codes[7]))
    with pytest.raises(ValueError, match="multiple of 4"):
        hamming_distances_triton(torch.zeros(2, 6, dtype=torch.uint8), torch.zeros(6, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rotation_into_a_strided_target(dtype):
    x, angle = _normal(133, 2, 24).transpose(0, 1), _normal(133, 12, seed=1)
    target = torch.full((2, 140, 24), float("nan"), dtype=dtype, device=DEVICE)
    rotate_triton(x, angle.cos(), angle.sin(), target[:, 3:136])
    expected = rotate(x, angle.cos(), angle.sin())
    torch.testing.assert_close(
        target[:, 3:136], expected.to(dtype), rtol=2**-7 if dtype == torch.bfloat16 else 0, atol=1e-6
    )
    assert target[:, :3].isnan().all()
    assert target[:, 136:].isnan().all()


def test_offsets_past_two_to_the_thirty_one():
    """Keys and values of one tensor whose heads lie 2^31 elements apart, most of it never touched."""
    torch.use_deterministic_algorithms(False)
    apart = 2**31 + 64
    room = torch.empty(apart + 2 * 40 * 16, dtype=torch.bfloat16, device=DEVICE)
    q, k, v = _normal(2, 40, 16), _normal(2, 40, 16, seed=1).bfloat16(), _normal(2, 40, 16, seed=2).bfloat16()
    keys = room.as_strided((2, 40, 16), (apart, 16, 1))
    values = room.as_strided((2, 40, 16), (apart, 16, 1), 40 * 16)
    keys.copy_(k)
    values.copy_(v)
    assert torch.equal(window_attention_triton(q, keys, values, 16), window_attention_triton(q, k, v, 16))
    codes = room.view(torch.int8).as_strided((2, 64), (2 * apart, 1))
    codes.copy_(quantize_rows(_normal(2, 64))[0])
    spikes, scale = encode_triton(_normal(1, 64), 3.0), torch.ones(2, device=DEVICE)
    expected = spike_linear_triton(spikes, codes.clone(), scale)
    assert torch.equal(spike_linear_triton(spikes, codes, scale), expected)
