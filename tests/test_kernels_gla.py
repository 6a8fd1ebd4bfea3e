"""Gated linear attention: recurrence and chunked form against the reference tensors, and the gradients."""

import pytest
import torch

from kernels.gla import gla_chunked, gla_recurrent
from tests.golden import cases, tensors

CASES = cases("gla_op")


def _inputs(name: str, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    data = tensors("gla_op")
    initial = data.get(f"{name}.initial_state")
    if initial is None:
        q, v = data[f"{name}.q"], data[f"{name}.v"]
        initial = torch.zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    return tuple(t.to(dtype) for t in (*(data[f"{name}.{part}"] for part in ("q", "k", "v", "gk")), initial))


def _worst(out: torch.Tensor, expected: torch.Tensor) -> float:
    return float((out.double() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_recurrence_equals_the_reference(case, dtype, limit):
    q, k, v, gk, initial = _inputs(case["name"], dtype)
    out, state = gla_recurrent(q, k, v, gk, initial, case["scale"])
    expected = tensors("gla_op")
    assert _worst(out, expected[f"{case['name']}.o"]) < limit
    assert _worst(state, expected[f"{case['name']}.final_state"]) < limit


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 5e-5)])
def test_chunked_form_equals_the_reference(case, dtype, limit):
    q, k, v, gk, initial = _inputs(case["name"], dtype)
    expected = tensors("gla_op")
    for b in range(len(q)):
        out, state = gla_chunked(q[b][:, None], k[b], v[b], gk[b], initial[b], case["scale"])
        assert _worst(out[:, 0], expected[f"{case['name']}.o"][b]) < limit
        assert _worst(state, expected[f"{case['name']}.final_state"][b]) < limit


@pytest.mark.parametrize("length", [1, 15, 16, 17, 63, 64, 65, 130])
def test_grouped_heads_share_keys_and_state(length):
    draw = torch.Generator().manual_seed(length)
    q = torch.randn(2, 3, length, 8, generator=draw, dtype=torch.float64)
    k, v = (torch.randn(2, length, 8, generator=draw, dtype=torch.float64) for _ in range(2))
    gk = -torch.rand(2, length, 8, generator=draw, dtype=torch.float64)
    out, state = gla_chunked(q, k, v, gk)
    for g in range(3):
        alone, final = gla_recurrent(q[:, g], k, v, gk)
        torch.testing.assert_close(out[:, g], alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(state, final, rtol=1e-12, atol=1e-12)


def test_strong_decay_stays_finite_in_float32():
    q, k, v = (torch.randn(1, 1, 200, 16), torch.randn(1, 200, 16), torch.randn(1, 200, 16))
    out, state = gla_chunked(q, k, v, torch.full((1, 200, 16), -50.0))
    assert out.isfinite().all()
    assert state.isfinite().all()


def test_gradients_equal_those_of_the_recurrence():
    draw = torch.Generator().manual_seed(3)
    parts = [torch.randn(2, 70, 8, generator=draw, dtype=torch.float64) for _ in range(3)]
    parts.append(-torch.rand(2, 70, 8, generator=draw, dtype=torch.float64) * 3)
    grads = []
    for form in (
        lambda q, k, v, g: gla_chunked(q[:, None], k, v, g)[0][:, 0],
        lambda *a: gla_recurrent(*a)[0],
    ):
        leaves = [p.clone().requires_grad_() for p in parts]
        (form(*leaves) * torch.arange(8)).sum().backward()
        grads.append([leaf.grad for leaf in leaves])
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
