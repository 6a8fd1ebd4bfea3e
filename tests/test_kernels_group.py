"""Group-wise INT8 weights: exact codes, products with spikes, bursts carried."""

import shutil

import pytest
import torch

import kernels.int8.group as plain_form
from engine.host import choose_ops
from kernels.int8 import group_linear, group_linear_reference, quantize_groups, quantize_symmetric
from kernels.native import NativeOps, library, load
from kernels.spike import Spikes, encode


@pytest.fixture(scope="module")
def compiled():
    """The compiled operations; where the machine has no compiler, what the product then uses."""
    found = any(shutil.which(name) for name in library.COMPILERS)
    return NativeOps(load(2)) if found else choose_ops()[0]


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


SHAPES = [(5, 1, 128), (1030, 3, 128), (70, 7, 64), (16, 2, 6), (131, 5, 100), (64, 28, 128), (1, 3, 1)]


def _any_spikes(rows: int, columns: int) -> Spikes:
    """Counts of every INT8 value."""
    draw = torch.Generator().manual_seed(rows + columns)
    low = torch.randint(-128, 128, (rows, columns), dtype=torch.int8, generator=draw)
    return Spikes(low, torch.rand(rows, 1, generator=draw) + 0.1)


def _any_codes(outputs: int, groups: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of every INT8 value, -128 too, and scales of both signs."""
    draw = torch.Generator().manual_seed(outputs)
    codes = torch.randint(-128, 128, (outputs, groups * size), dtype=torch.int8, generator=draw)
    return codes, torch.randn(outputs, groups, generator=draw)


def _equal_to_float_noise(
    out: torch.Tensor, spikes: Spikes, codes: torch.Tensor, scale: torch.Tensor
) -> None:
    """One rounding of each group's sum, its product and its addition, one of the threshold: each at most
    2^-24 of the sum of all absolute values.
    """
    truth = group_linear_reference(spikes.counts(), spikes.vth, codes, scale)
    most = group_linear_reference(spikes.counts().abs(), spikes.vth, codes.double().abs(), scale.abs())
    roundings = scale.shape[1] + 3
    assert out.dtype == torch.float32
    assert bool(((out - truth).abs() <= roundings * 2**-24 * most).all())


@pytest.mark.parametrize("rows", range(1, 10))
@pytest.mark.parametrize(("outputs", "groups", "size"), SHAPES)
def test_the_compiled_product_equals_the_formula(compiled, rows, outputs, groups, size):
    """Groups off every vector width; nine tokens are more than the compiled product takes."""
    spikes, (codes, scale) = _any_spikes(rows, groups * size), _any_codes(outputs, groups, size)
    _equal_to_float_noise(compiled.group_linear(spikes, codes, scale), spikes, codes, scale)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_few_tokens_do_without_torch_products(compiled, monkeypatch, rows):
    spikes, (codes, scale) = _any_spikes(rows, 300), _any_codes(90, 3, 100)
    if isinstance(compiled, NativeOps):
        monkeypatch.setattr(plain_form, "int_product", None)
    _equal_to_float_noise(compiled.group_linear(spikes, codes, scale), spikes, codes, scale)


def test_tokens_together_get_the_bits_of_each_alone(compiled):
    spikes, (codes, scale) = _any_spikes(7, 28 * 128), _any_codes(130, 28, 128)
    alone = [
        compiled.group_linear(Spikes(spikes.low[i : i + 1], spikes.vth[i : i + 1]), codes, scale)
        for i in range(7)
    ]
    assert torch.equal(compiled.group_linear(spikes, codes, scale), torch.cat(alone))


@pytest.mark.parametrize("rows", [1, 2, 8, 9])
def test_the_compiled_product_carries_bursts_and_codes_beyond_int8(compiled, rows):
    weight, scale = _layer(130, 3, 100)
    codes, scale, excess = quantize_groups(weight, scale * 0.25)
    assert excess is not None
    x = torch.randn(rows, 300, generator=torch.Generator().manual_seed(rows))
    x[rows // 2, 3], x[0, -1] = 4000.0, -900.0
    spikes = encode(x, 3.0)
    assert spikes.bursts
    expected = group_linear_reference(spikes.counts(), spikes.vth, codes, scale)
    beyond = (spikes.counts()[:, excess.columns] * excess.values.double()) * spikes.vth.double()
    expected.index_add_(1, excess.rows, beyond)
    out = compiled.group_linear(spikes, codes, scale, excess)
    # Roundings of one float32 sum over the groups, the few bursts and what is beyond INT8.
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=16 * 2**-24 * float(expected.abs().max()))


def test_inputs_that_lie_apart_in_memory_are_taken_as_they_are(compiled):
    spikes, (codes, scale) = _any_spikes(2, 256), _any_codes(40, 2, 128)
    expected = compiled.group_linear(spikes, codes, scale)
    apart = Spikes(spikes.low.t().contiguous().t(), spikes.vth)
    for form in (codes, codes.t().contiguous().t()):
        found = compiled.group_linear(apart, form, scale.t().contiguous().t())
        torch.testing.assert_close(found, expected, rtol=0, atol=2**-20 * float(expected.abs().max()))


def test_groups_that_do_not_divide_the_channels_are_refused(compiled):
    codes, _ = _any_codes(40, 2, 128)
    with pytest.raises((IndexError, RuntimeError)):
        compiled.group_linear(_any_spikes(1, 256), codes, torch.ones(40, 3))


def test_symmetric_int8_rounds_to_127_steps_of_each_row():
    x = torch.tensor([[1.27, -0.634, 0.005], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[1.27, -0.63, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(quantize_symmetric(x), expected, rtol=0, atol=1e-6)
