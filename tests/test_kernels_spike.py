"""Spike counts and their INT8 product: exact, bursts never clipped."""

import numpy as np
import pytest
import torch

from kernels.hamming import hamming_distances, hamming_distances_reference, pack_signs
from kernels.int8 import quantize_rows, spike_linear, spike_linear_reference
from kernels.int8.cpu import spike_matmul
from kernels.spike import encode, encode_counts, norm_encode


def _bursty(rows: int, columns: int, burst_columns: int, size: float) -> torch.Tensor:
    draw = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, columns, generator=draw)
    x[:, :burst_columns] *= size
    return x


@pytest.mark.parametrize(("burst_columns", "size"), [(0, 1.0), (1, 400.0), (2, 90.0), (7, 3000.0)])
def test_counts_equal_the_formula_bursts_included(burst_columns, size):
    x = _bursty(33, 576, burst_columns, size)
    counts, vth = encode_counts(x, 3.0)
    spikes = encode(x, 3.0)
    assert torch.equal(spikes.counts(), counts.int())
    assert torch.equal(spikes.vth, vth)
    assert bool(spikes.bursts) == bool(counts.abs().max() > 127)


def test_a_count_beyond_two_digits_is_carried():
    x = torch.zeros(4, 20_000)
    x[:, 5] = 7.0
    x[2, 9] = 1.0
    spikes = encode(x, 3.0)
    assert len(spikes.bursts) == 2
    assert int(spikes.counts().max()) == 60_000


def test_an_all_zero_token_is_silent():
    spikes = encode(torch.zeros(3, 64), 3.0)
    assert spikes.spike_total() == 0
    assert spikes.silent_total() == 3 * 64


def test_totals_count_bursts_too():
    spikes = encode(_bursty(20, 128, 2, 500.0), 3.0)
    counts = spikes.counts()
    assert spikes.spike_total() == int(counts.abs().sum())
    assert spikes.silent_total() == int((counts == 0).sum())


def test_norm_and_encode_fused_equal_one_after_the_other():
    x, weight = _bursty(50, 576, 3, 200.0), torch.rand(576) + 0.5
    fused = norm_encode(x, weight, 1e-5, 3.0)
    apart = encode(torch.nn.functional.rms_norm(x, (576,), weight, 1e-5), 3.0)
    # Both round x / threshold; float32 noise may tip a quotient that lies on a half.
    assert float((fused.counts() != apart.counts()).float().mean()) < 1e-3
    assert int((fused.counts() - apart.counts()).abs().max()) <= 1
    torch.testing.assert_close(fused.vth, apart.vth, rtol=1e-5, atol=0)


@pytest.mark.parametrize("rows", [1, 2, 17, 64])
@pytest.mark.parametrize("burst_columns", [0, 1, 5])
def test_product_is_exact(rows, burst_columns):
    spikes = encode(_bursty(rows, 576, burst_columns, 400.0), 3.0)
    codes, scale = quantize_rows(torch.randn(100, 576))
    exact = spikes.counts().double() @ codes.double().T
    assert torch.equal(spike_matmul(spikes, codes).double(), exact)
    truth = spike_linear_reference(spikes.counts(), spikes.vth, codes, scale)
    torch.testing.assert_close(spike_linear(spikes, codes, scale).double(), truth, rtol=4 * 2**-24, atol=0)


def test_row_quantisation_keeps_the_largest_weight_and_survives_zero_rows():
    weight = torch.randn(10, 64)
    weight[3] = 0
    codes, scale = quantize_rows(weight)
    assert int(codes.abs().max()) == 127
    assert float(((codes.float() * scale[:, None]) - weight).abs().max()) <= float(scale.max()) / 2 * 1.0001
    assert not codes[3].any()


def test_hamming_distance_equals_bit_by_bit():
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 256, (500, 64), dtype=np.uint8)
    query = draw.integers(0, 256, 64, dtype=np.uint8)
    assert np.array_equal(hamming_distances(codes, query), hamming_distances_reference(codes, query))


def test_hamming_refuses_codes_of_another_length():
    with pytest.raises(ValueError, match="must agree"):
        hamming_distances(np.zeros((3, 64), np.uint8), np.zeros(32, np.uint8))


def test_signs_are_packed_one_bit_each():
    assert pack_signs(np.array([[1, -1, 0, 2, -3, -1, 5, 1]], np.float32)).tolist() == [[0b10010011]]
