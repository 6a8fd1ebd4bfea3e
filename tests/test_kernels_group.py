"""Group-wise INT8 weights: exact codes, products with spikes, bursts carried."""

import pytest
import torch

from kernels.int8 import group_linear, group_linear_reference, quantize_groups, quantize_symmetric
from kernels.spike import encode


def _layer(rows: int, groups: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, groups * size, generator=draw)
    return weight, weight.view(rows, groups, size).abs().amax(dim=-1) / 127


def _values(codes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return codes.float() * scale.repeat_interleave(codes.shape[1] // scale.shape[1], dim=1)


@pytest.mark.parametrize("shrink", [1.0, 0.9943, 0.25])
def test_codes_are_rounded_and_not_clipped(shrink):
    """With scales a little small, codes reach +128, which INT8 holds as -128 of a negated group."""
    weight, scale = _layer(200, 3, 64)
    scale = scale * shrink
    codes, used, excess = quantize_groups(weight, scale)
    assert codes.dtype == torch.int8
    assert bool((used < 0).any()) == (shrink < 1)
    spread = scale.repeat_interleave(64, dim=1)
    values = _values(codes, used)
    if excess is not None:
        values[excess.rows, excess.columns] += excess.values
    assert (excess is None) == (shrink == 1)
    torch.testing.assert_close(values, torch.round(weight / spread) * spread, rtol=2**-23, atol=0)


def test_both_signs_of_128_in_one_group_leave_one_step_over():
    codes, scale, excess = quantize_groups(torch.tensor([[128.0, -128.0, 1.0, 0.0]]), torch.ones(1, 1))
    assert (codes * scale).tolist() == [[128.0, -127.0, 1.0, 0.0]]
    assert (excess.rows.tolist(), excess.columns.tolist(), excess.values.tolist()) == ([0], [1], [-1.0])
    spikes = encode(torch.tensor([[3.0, 2.0, -1.0, 0.0]]), 3.0)
    truth = spikes.counts().float() @ torch.tensor([128.0, -128.0, 1.0, 0.0]) * spikes.vth[0]
    torch.testing.assert_close(group_linear(spikes, codes, scale, excess)[0], truth)


@pytest.mark.parametrize("rows", [1, 2, 33])
@pytest.mark.parametrize(
    ("outputs", "groups", "size"), [(5, 1, 128), (1030, 3, 128), (70, 7, 64), (16, 2, 6)]
)
@pytest.mark.parametrize("burst", [False, True])
def test_product_equals_the_formula(rows, outputs, groups, size, burst):
    weight, scale = _layer(outputs, groups, size)
    codes, scale, _ = quantize_groups(weight, scale)
    x = torch.randn(rows, groups * size, generator=torch.Generator().manual_seed(rows))
    if burst:
        x[rows // 2, 3], x[0, -1] = 4000.0, -900.0
    spikes = encode(x, 3.0)
    if groups * size > 12:
        assert bool(spikes.bursts) == burst
    truth = group_linear_reference(spikes.counts(), spikes.vth, codes, scale)
    out = group_linear(spikes, codes, scale)
    assert out.dtype == torch.float32
    # Roundings of one float32 sum over the groups (and over the few bursts).
    torch.testing.assert_close(out.double(), truth, rtol=0, atol=16 * 2**-24 * float(truth.abs().max()))


def test_symmetric_int8_rounds_to_127_steps_of_each_row():
    x = torch.tensor([[1.27, -0.634, 0.005], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[1.27, -0.63, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(quantize_symmetric(x), expected, rtol=0, atol=1e-6)
