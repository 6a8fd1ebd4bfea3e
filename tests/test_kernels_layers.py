"""Whole compiled layers against the single operations they replace; products that skip silent channels."""

import ctypes
import platform
import shutil

import numpy as np
import pytest
import torch

from engine.coding import Linear, SpikeCoder
from engine.host import choose_ops
from engine.tally import SpikeTally
from kernels.hamming import hamming_distances
from kernels.native import NativeOps, library, load, memory
from kernels.ops import TorchOps

COMPILER = any(shutil.which(name) for name in library.COMPILERS)


@pytest.fixture(scope="module")
def compiled():
    """The compiled operations; where the machine has no compiler, what the product then uses."""
    return NativeOps(load(2)) if COMPILER else choose_ops()[0]


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _linear(ops, rows: int, columns: int, seed: int = 0) -> Linear:
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(-127, 128, (rows, columns), dtype=torch.int8, generator=draw)
    if ops.layers is not None:
        codes = ops.layers.arrange(codes)
    return Linear(codes, torch.rand(rows, generator=draw) * 1e-3 + 1e-4)


def _coders(ops):
    """One that may use whole layers, and one of single operations."""
    single = TorchOps()
    return SpikeCoder(3.0, SpikeTally(), ops), SpikeCoder(3.0, SpikeTally(), single)


def _bursting(rows: int, columns: int) -> torch.Tensor:
    x = _normal(rows, columns, seed=rows)
    x[:, 3] *= 300.0
    x[rows // 2, columns - 1] = -4000.0
    return x


def _close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """To float noise; a quotient within noise of a half may round to the other count, in a row or two."""
    apart = (ours - theirs).abs().amax(dim=1) / theirs.abs().amax(dim=1).clamp(min=1e-6)
    assert float(apart.median()) < 1e-5
    assert float(apart.max()) < 1e-2


@pytest.mark.parametrize(("inner", "outer"), [(576, 960), (97, 130), (33, 1), (4, 64), (1536, 577)])
@pytest.mark.parametrize("count", [1, 2, 3, 25, 67])
def test_a_layer_in_one_call_equals_its_steps(compiled, count, inner, outer):
    fused, single = _coders(compiled)
    layer, x = _linear(compiled, outer, inner), _bursting(count, inner)
    norm = torch.rand(inner, generator=torch.Generator().manual_seed(1)) + 0.5
    _close(fused.norm_linear(layer, x, norm, 1e-5), single.norm_linear(layer, x, norm, 1e-5))
    targets = [_normal(count, outer, seed=2) for _ in range(2)]
    fused.add_plain(layer, x, targets[0])
    single.add_plain(layer, x, targets[1])
    _close(*targets)
    assert fused.tally.places == single.tally.places == 2 * inner * (1 + (count - 1) // 32)
    assert abs(fused.tally.spikes - single.tally.spikes) <= 2
    assert abs(fused.tally.silent - single.tally.silent) <= 2


@pytest.mark.parametrize(("inner", "width"), [(576, 1536), (50, 70)])
@pytest.mark.parametrize("count", [1, 2, 5, 49])
def test_a_feed_forward_in_one_call_equals_its_steps(compiled, count, inner, width):
    fused, single = _coders(compiled)
    gate_up, down = _linear(compiled, 2 * width, inner), _linear(compiled, inner, width, seed=1)
    norm = torch.rand(inner, generator=torch.Generator().manual_seed(1)) + 0.5
    x = [_bursting(count, inner) for _ in range(2)]
    fused.feed_forward(gate_up, down, x[0], norm, 1e-5)
    single.feed_forward(gate_up, down, x[1], norm, 1e-5)
    _close(*x)
    assert fused.tally.places == single.tally.places


def test_a_target_that_is_a_part_of_something_larger_gains_the_output_too(compiled):
    fused, single = _coders(compiled)
    layer, x = _linear(compiled, 64, 96), _normal(3, 96)
    wide = [_normal(3, 128, seed=4) for _ in range(2)]
    fused.add_plain(layer, x, wide[0][:, 64:])
    single.add_plain(layer, x, wide[1][:, 64:])
    _close(*wide)
    assert torch.equal(wide[0][:, :64], _normal(3, 128, seed=4)[:, :64])


@pytest.mark.parametrize("count", [1, 4, 7, 64])
def test_a_table_by_rows_equals_the_product(compiled, count):
    fused, single = _coders(compiled)
    table = Linear(torch.randint(-127, 128, (700, 90), dtype=torch.int8), torch.rand(700) * 1e-3)
    x = _bursting(count, 90)
    _close(fused.linear_plain(table, x), single.linear_plain(table, x))


def test_weights_in_their_own_layout_take_the_single_operations(compiled):
    """A layer by output, with a bias or by groups is no case for whole layers, and still computed."""
    fused, single = _coders(compiled)
    codes = torch.randint(-127, 128, (64, 96), dtype=torch.int8)
    layer, x, norm = Linear(codes, torch.rand(64)), _normal(5, 96), torch.ones(96)
    assert fused._fused(5, layer) is None
    _close(fused.norm_linear(layer, x, norm, 1e-5), single.norm_linear(layer, x, norm, 1e-5))


@pytest.mark.parametrize("left", [0, 30])
def test_queries_keys_and_values_are_placed_as_torch_places_them(compiled, left):
    heads, kv, dim, count = 6, 2, 16, 5
    joined = _normal(count, (heads + 2 * kv) * dim)
    parts = joined.split((heads * dim, kv * dim, kv * dim), dim=1)
    q, k, v = (part.view(count, -1, dim).transpose(0, 1) for part in parts)
    angle = _normal(count, dim // 2, seed=1)
    caches = [[torch.zeros(kv, 40, dim, dtype=torch.bfloat16) for _ in range(3)] for _ in range(2)]
    found = [
        ops.place(q, k, v, angle.cos(), angle.sin(), *(c[:, left : left + count] for c in cache))
        for ops, cache in zip((compiled, TorchOps()), caches, strict=True)
    ]
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(*caches, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2**-7, atol=1e-6)
    assert torch.equal(caches[0][0], caches[1][0])


def _event_product(functions: ctypes.CDLL, low: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    out = torch.full((codes.shape[1],), -1, dtype=torch.int32)
    functions.engram_event_product(low.data_ptr(), codes.data_ptr(), *codes.shape, out.data_ptr())
    return out


def _event_cases(functions: ctypes.CDLL) -> None:
    draw = torch.Generator().manual_seed(5)
    for inner, outer, silent in [(576, 960, 0.2), (7, 63, 0.5), (130, 65, 0.99), (64, 321, 1.0), (1, 1, 0.0)]:
        codes = torch.randint(-128, 128, (inner, outer), dtype=torch.int8, generator=draw)
        low = torch.randint(-128, 128, (inner,), dtype=torch.int8, generator=draw)
        low[torch.rand(inner, generator=draw) < silent] = 0
        assert torch.equal(_event_product(functions, low, codes).long(), low.long() @ codes.long())
        ones = low.abs().clamp(min=0)
        assert torch.equal(_event_product(functions, ones, codes).long(), ones.long() @ codes.long())


def test_an_event_driven_product_is_exact():
    """Silent channels of any share, both signs, sizes off every vector width."""
    if COMPILER:
        _event_cases(load(2).functions)


@pytest.mark.parametrize(
    "level", ["x86-64", "x86-64-v3"] if platform.machine() in ("x86_64", "AMD64") else []
)
def test_older_processors_get_the_same_products(level, tmp_path, monkeypatch):
    """Compiled for a processor without AVX-512, and for one without AVX2."""
    if not COMPILER:
        return
    flags = [f"-march={level}" if flag == "-march=native" else flag for flag in library.FLAGS]
    monkeypatch.setattr(library, "FLAGS", ["-O1" if flag == "-O3" else flag for flag in flags])
    old = library.NativeLibrary(library.build(tmp_path), 2)
    assert not old.has_attention
    assert old.layer_limit == 2
    _event_cases(old.functions)
    ops = NativeOps(old)
    fused, single = _coders(ops)
    for count in (1, 3):
        layer, x = _linear(ops, 130, 97), _bursting(count, 97)
        _close(
            fused.norm_linear(layer, x, torch.ones(97), 1e-5),
            single.norm_linear(layer, x, torch.ones(97), 1e-5),
        )
        spikes, codes = single.plain(x[:, :96]), layer.weight[:, :96].contiguous()
        steps = torch.linspace(-1, 1, 130 * 3).view(130, 3)
        expected = single.ops.group_linear(spikes, codes, steps)
        _close(ops.group_linear(spikes, codes, steps), expected)


def test_distances_are_the_same_with_the_library_and_without(monkeypatch):
    draw = np.random.default_rng(0)
    codes, query = draw.integers(0, 256, (9001, 64), np.uint8), draw.integers(0, 256, 64, np.uint8)
    expected = np.unpackbits(codes ^ query, axis=1).sum(axis=1)
    if COMPILER:
        load(2)
        assert library.loaded() is not None
        assert np.array_equal(hamming_distances(codes, query), expected)
    monkeypatch.setattr(library, "_loaded", [])
    assert np.array_equal(hamming_distances(codes, query), expected)


def test_matrices_of_an_arena_keep_apart_and_begin_at_cache_lines(monkeypatch):
    monkeypatch.setattr(memory, "BLOCK", 4096)
    arena = memory.Arena()
    shapes = [(3, 5), (64, 64), (1, 1), (70, 90), (8, 16)]
    made = [arena.empty(*shape).fill_(i) for i, shape in enumerate(shapes)]
    assert [tuple(m.shape) for m in made] == shapes
    assert all(m.data_ptr() % 64 == 0 and bool((m == i).all()) for i, m in enumerate(made))
    assert memory.Arena().empty(0, 4).shape == (0, 4)


def test_without_huge_pages_an_arena_hands_out_ordinary_memory(monkeypatch):
    monkeypatch.setattr(memory.mmap, "MADV_HUGEPAGE", -1, raising=False)
    assert memory.Arena().empty(4, 4).fill_(7).sum() == 112
