"""Block attention: formula and fast path against the reference tensors; parts, cuts and what is fetched."""

from itertools import pairwise

import pytest
import torch

from kernels.moba import TensorPart, moba_attention, moba_reference
from tests.golden import cases, tensors

CASES = [case for case in cases("sse_ops") if case["kind"] == "moba"]


class Counted(TensorPart):
    """A part that knows whether it was fetched."""

    __slots__ = ()
    fetched = 0

    def load(self):
        Counted.fetched += 1
        return super().load()


def _fast(q, k, v, block, topk, per_part=2, chunk=10**6, part=TensorPart):
    """Heads [H, T, D] of the last T of N places, in pieces that lie in one block and are at most `chunk`."""
    first, both, outputs = k.shape[1] - q.shape[1], torch.stack((k, v)), []
    stop = first
    while stop < k.shape[1]:
        start, stop = stop, min((stop // block + 1) * block, k.shape[1], stop + chunk)
        own = start // block
        cuts = [*range(0, own, per_part), own]
        parts = [part(both[:, :, a * block : b * block], b - a) for a, b in pairwise(cuts)]
        means = k[:, : own * block].unflatten(1, (own, block)).mean(dim=2)
        piece = q[:, start - first : stop - first]
        outputs.append(moba_attention(piece, both[:, :, own * block : stop], parts, means, topk))
    return torch.cat(outputs).transpose(0, 1)


def _random(heads, kv_heads, length, count, dim=8, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    shapes = (heads, length, dim), (kv_heads, count, dim), (kv_heads, count, dim)
    return [torch.randn(shape, generator=draw, dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_formula_and_fast_path_equal_the_reference(case):
    data, name = tensors("sse_ops"), case["name"]
    q, k, v = (data[f"{name}.{part}"] for part in "qkv")
    setting = case["chunk"], case["topk"]
    torch.testing.assert_close(moba_reference(q, k, v, *setting), data[f"{name}.o"], rtol=0, atol=1e-12)
    exact = _fast(q.double(), k.double(), v.double(), *setting)
    torch.testing.assert_close(exact, data[f"{name}.o"], rtol=0, atol=1e-12)
    torch.testing.assert_close(_fast(q, k, v, *setting).double(), data[f"{name}.o"], rtol=0, atol=3e-6)


@pytest.mark.parametrize("topk", [1, 2, 4, None])
@pytest.mark.parametrize(("per_part", "chunk"), [(1, 10**6), (2, 1), (3, 5), (100, 300)])
def test_cuts_and_parts_do_not_show(topk, per_part, chunk):
    q, k, v = _random(6, 2, 40, 233)
    truth = moba_reference(q, k, v, 32, topk)
    ours = _fast(q, k, v, 32, topk, per_part, chunk)
    torch.testing.assert_close(ours, truth, rtol=0, atol=1e-12)


@pytest.mark.parametrize("block", [7, 128, 150, 1000])
def test_blocks_of_any_size(block):
    q, k, v = _random(4, 4, 301, 301, seed=block)
    ours = _fast(q, k, v, block, 3)
    torch.testing.assert_close(ours, moba_reference(q, k, v, block, 3), rtol=0, atol=1e-12)


def test_all_blocks_are_full_attention():
    q, k, v = _random(4, 2, 90, 90)
    keys, values = k.repeat_interleave(2, 0), v.repeat_interleave(2, 0)
    full = torch.nn.functional.scaled_dot_product_attention(q, keys, values, is_causal=True)
    for topk in (None, 6, 50):
        torch.testing.assert_close(_fast(q, k, v, 16, topk), full, rtol=0, atol=1e-12)


def test_a_part_that_nobody_chose_is_not_fetched():
    _, k, v = _random(2, 1, 1, 2000, seed=2)
    k[:, 320:384] += 5 * torch.ones(8)  # blocks 20 to 23 answer this query, all in part 10 and 11
    q = torch.ones(2, 1, 8, dtype=torch.float64)
    Counted.fetched = 0
    _fast(q, k, v, 16, 4, part=Counted)
    assert 0 < Counted.fetched <= 2
    _fast(q, k, v, 16, None, part=Counted)
    assert Counted.fetched > 60


def test_many_scores_are_taken_in_small_tiles(monkeypatch):
    q, k, v = _random(4, 2, 64, 640)
    truth = [_fast(q, k, v, 64, topk, per_part=4) for topk in (4, None)]
    monkeypatch.setattr("kernels.moba.cpu.SCORES", 500)
    for topk, expected in zip((4, None), truth, strict=True):
        ours = _fast(q, k, v, 64, topk, per_part=4)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_bfloat16_keys_stay_within_their_rounding():
    q, k, v = (x.float() for x in _random(4, 2, 200, 200))
    k, v = k.bfloat16(), v.bfloat16()
    truth = moba_reference(q.bfloat16(), k, v, 32, None)
    ours = _fast(q, k, v, 32, None)
    assert ours.dtype == torch.float32
    # Scaled queries, weights and sums are each rounded to 8 bits: a few 2^-9 of the largest value.
    assert float((ours.double() - truth).abs().max()) < 8 * 2**-9 * float(v.abs().max())


def test_very_sharp_scores_stay_finite():
    q, k, v = (1000 * x.float() for x in _random(2, 1, 70, 70))
    out = _fast(q, k, v, 16, 3)
    assert out.isfinite().all()
