"""Window attention against the reference tensors; sinks; independence of block cuts."""

import pytest
import torch

from kernels.rotary import inverse_frequencies, rotate, rotate_reference
from kernels.window import Sinks, window_attention, window_attention_reference
from tests.golden import cases, tensors

CASES = [c for c in cases("swa_op") if "left" in c]


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_reference_and_blocks_equal_the_published_results(case):
    data, name = tensors("swa_op"), case["name"]
    for b in range(case["B"]):
        q, k, v = (data[f"{name}.{part}"][b] for part in "qkv")
        out, lse = window_attention_reference(q, k, v, case["left"])
        torch.testing.assert_close(out, data[f"{name}.o"][b], rtol=0, atol=1e-12)
        torch.testing.assert_close(lse, data[f"{name}.lse"][b], rtol=0, atol=1e-12)
        blocks = window_attention(q.double(), k.double(), v.double(), case["left"]).transpose(0, 1)
        torch.testing.assert_close(blocks, data[f"{name}.o"][b], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("position", "count", "past"), [(0, 50, 0), (30, 20, 16), (17, 1, 16), (100, 300, 16), (3, 40, 3)]
)
def test_sinks_are_seen_once_the_window_has_left_them(position, count, past):
    draw = torch.Generator().manual_seed(position)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    q, k, v = normal(6, count, 8), normal(2, count + past, 8), normal(2, count + past, 8)
    sinks = Sinks(normal(2, 4, 8), normal(2, 4, 8), normal(6, count, 8), position)
    ours = window_attention(q, k, v, 16, sinks, position).transpose(0, 1)
    truth, _ = window_attention_reference(q, k, v, 16, sinks)
    torch.testing.assert_close(ours, truth, rtol=0, atol=1e-12)
    without, _ = window_attention_reference(q, k, v, 16)
    outside = torch.arange(count) + position > 16
    torch.testing.assert_close(without[:, ~outside], truth[:, ~outside], rtol=0, atol=1e-12)
    assert not outside.any() or not torch.allclose(without[:, outside], truth[:, outside])


def test_bfloat16_stays_within_its_rounding():
    q, k, v = torch.randn(4, 300, 16), torch.randn(2, 300, 16), torch.randn(2, 300, 16)
    k, v = k.bfloat16(), v.bfloat16()
    truth, _ = window_attention_reference(q.bfloat16().float(), k, v, 64)
    ours = window_attention(q.bfloat16().float(), k, v, 64).transpose(0, 1).double()
    # Scores, weights and sums are each rounded to 8 bits: a few 2^-9 of the largest value.
    assert float((ours - truth).abs().max()) < 8 * 2**-9 * float(v.abs().max())


def test_rotation_equals_the_published_float32_and_the_truth_nearby():
    data = tensors("swa_op")
    for name in ("rope0", "rope1"):
        q, positions = data[f"{name}.q_in"], data[f"{name}.positions"]
        angle = positions.float()[:, None] * data[f"{name}.inv_freq"]
        torch.testing.assert_close(
            rotate(q, angle.cos(), angle.sin()), data[f"{name}.q_out"], rtol=0, atol=1e-5
        )


def test_rotation_is_exact_for_window_relative_positions():
    frequencies = inverse_frequencies(16, 1e5).double()
    x = torch.randn(3, 2048, 16)
    angle = torch.arange(2048, dtype=torch.float64)[:, None] * frequencies
    ours = rotate(x, angle.cos().float(), angle.sin().float())
    # Frequencies are float32 as published: an angle is off by at most position * 2^-24.
    limit = 2 * 2048 * 2**-24 * float(x.abs().max())
    torch.testing.assert_close(
        ours.double(), rotate_reference(x, torch.arange(2048), 1e5), rtol=0, atol=limit
    )
