"""The compiled CPU kernels against torch's form of the same operations and against the float64 reference."""

import shutil

import pytest
import torch

from engine.host import choose_ops
from kernels.native import BuildError, NativeOps, library, load
from kernels.ops import Ops, TorchOps
from kernels.spike import Spikes
from kernels.window import Sinks, window_attention_reference


@pytest.fixture(scope="module")
def compiled() -> Ops:
    """The compiled operations; where the machine has no compiler, what the product then uses."""
    if not any(shutil.which(name) for name in library.COMPILERS):
        return choose_ops()[0]
    return NativeOps(load(2))


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _same_spikes(ours: Spikes, theirs: Spikes) -> None:
    torch.testing.assert_close(ours.vth, theirs.vth, rtol=1e-5, atol=0)
    different = ours.counts() != theirs.counts()
    # A quotient within float noise of a half may round to its other neighbour.
    assert float(different.float().mean()) < 1e-4
    assert int((ours.counts() - theirs.counts()).abs().max()) <= 1


@pytest.mark.parametrize(("rows", "columns"), [(1, 576), (15, 64), (16, 96), (17, 577), (300, 1536)])
@pytest.mark.parametrize("burst", [1.0, 300.0])
def test_encoding(compiled, rows, columns, burst):
    x = _normal(rows, columns, seed=rows)
    x[:, 3] *= burst
    x[rows // 2, 7] *= 5 * burst
    weight = torch.rand(columns, generator=torch.Generator().manual_seed(1)) + 0.5
    plain = TorchOps()
    _same_spikes(compiled.encode(x, 3.0), plain.encode(x, 3.0))
    _same_spikes(compiled.norm_encode(x, weight, 1e-5, 3.0), plain.norm_encode(x, weight, 1e-5, 3.0))
    total = (_normal(rows, 2 * columns, seed=2) * 1e5).to(torch.int32)
    scale, vth = torch.rand(2 * columns) * 1e-3, torch.rand(rows, 1) * 0.1
    _same_spikes(compiled.swiglu_encode(total, scale, vth, 3.0), plain.swiglu_encode(total, scale, vth, 3.0))


def test_more_bursts_than_expected_are_all_found(compiled):
    x = torch.zeros(40, 4000)
    x[:, ::40] = 1.0
    assert torch.equal(compiled.encode(x, 8.0).counts(), TorchOps().encode(x, 8.0).counts())
    assert int(compiled.encode(x, 8.0).counts().max()) == 320


def test_huge_and_zero_inputs(compiled):
    x = torch.zeros(3, 20_000)
    x[1, 5], x[2, 9] = 7.0, -1e30
    spikes = compiled.encode(x, 3.0)
    assert int(spikes.counts()[0].abs().sum()) == 0
    assert int(spikes.counts()[1, 5]) == 60_000


@pytest.mark.parametrize("rows", [1, 16, 33])
def test_dequantising_writes_and_adds(compiled, rows):
    total = torch.randint(-(2**24), 2**24, (rows, 100), dtype=torch.int32)
    scale, vth, target = torch.rand(100), torch.rand(rows, 1), _normal(rows, 100)
    expected = total.double() * scale.double() * vth.double()
    torch.testing.assert_close(
        compiled.dequantize(total, scale, vth).double(), expected, rtol=4 * 2**-24, atol=0
    )
    added = compiled.dequantize(total, scale, vth, add_to=target.clone())
    torch.testing.assert_close(added.double(), expected + target, rtol=4 * 2**-24, atol=1e-5)


ATTENTION = [
    (0, 50, 0, 16, 6, 2, 32, 4),
    (30, 20, 16, 16, 6, 2, 64, 4),
    (17, 1, 16, 16, 9, 3, 64, 4),
    (100, 37, 16, 16, 6, 2, 16, 1),
    (3, 40, 3, 16, 4, 4, 80, 0),
    (2048, 200, 300, 300, 9, 3, 64, 16),
    (5, 100, 5, -1, 4, 2, 128, 0),
]


@pytest.mark.parametrize(("position", "count", "past", "left", "heads", "kv", "dim", "amount"), ATTENTION)
def test_window_attention(compiled, position, count, past, left, heads, kv, dim, amount):
    q, plain = (_normal(count, heads, dim, seed=s).transpose(0, 1) for s in (1, 2))
    k, v = (_normal(kv, count + past, dim, seed=s).bfloat16() for s in (3, 4))
    sinks = None
    if amount:
        sinks = Sinks(
            _normal(kv, amount, dim, seed=5).bfloat16(),
            _normal(kv, amount, dim, seed=6).bfloat16(),
            plain,
            position,
        )
    truth, _ = window_attention_reference(q, k, v, left, sinks)
    out = torch.full((count, heads, dim), float("nan"))
    out[:] = compiled.window_attention(q, k, v, left, sinks, position)
    # Scaled queries and weights are rounded to 8 bits (2^-9 each); a score of about 4 moves by 4 * 2^-9.
    assert float((out.transpose(0, 1) - truth).abs().max()) < 8 * 2**-9 * float(v.abs().max())


def test_sharp_scores_neither_overflow_nor_vanish(compiled):
    q, k = _normal(4, 30, 16) * 60, (_normal(2, 30, 16, seed=1) * 60).bfloat16()
    v = _normal(2, 30, 16, seed=2).bfloat16()
    out = compiled.window_attention(q, k, v, -1)
    assert out.isfinite().all()
    assert float(out.abs().max()) <= float(v.abs().max()) * 1.01


def test_without_a_compiler_the_reason_is_given_and_torch_computes(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "COMPILERS", ("no-such-compiler",))
    with pytest.raises(BuildError, match="no C"):
        library.build(tmp_path)
    load.cache_clear()
    ops, note = choose_ops()
    assert ops.name == "torch"
    assert "compiler" in note
    monkeypatch.setenv("ENGRAM_NATIVE", "0")
    assert choose_ops()[1] == "compiled kernels switched off"


def test_a_compiler_that_fails_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "COMPILERS", ("false",))
    with pytest.raises(BuildError, match="failed"):
        library.build(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 7])
def test_rows_are_placed_by_the_compiled_call_one_token_too(compiled, monkeypatch, count):
    joined, angle = _normal(count, (6 + 2 * 2) * 16), _normal(count, 8, seed=1)
    parts = joined.split((6 * 16, 2 * 16, 2 * 16), dim=-1)
    q, k, v = (part.view(count, -1, 16).transpose(0, 1) for part in parts)
    caches = [torch.zeros(3, 2, 40, 16, dtype=torch.bfloat16) for _ in range(2)]
    views = [[cache[i, :, 5 : 5 + count] for i in range(3)] for cache in caches]
    truth = TorchOps().place(q, k, v, angle.cos(), angle.sin(), *views[1])
    if isinstance(compiled, NativeOps):
        monkeypatch.setattr(TorchOps, "place", None)
    ours = compiled.place(q, k, v, angle.cos(), angle.sin(), *views[0])
    torch.testing.assert_close(ours, truth, rtol=0, atol=2**-21)
    # A product within float noise of a tie may round to its other neighbour in bfloat16.
    torch.testing.assert_close(caches[0], caches[1], rtol=2**-7, atol=1e-6)
    assert not caches[0][:, :, :5].any()
    assert not caches[0][:, :, 5 + count :].any()
