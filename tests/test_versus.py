"""Counted operations against counting one by one; the fit; the shipped figures against the committed ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from app_home import tiny_engine
from dense_checkpoints import tiny_dense_dir
from golden import DATA
from moe_parallel import tiny_moe_dir
from tiny import tiny_model_dir

from app.versus import compare, fit_points, load_fit
from engine import Engine
from engine.coding import Linear
from engine.config import parse_config
from engine.costs import Shape, Softmax
from engine.weights import ModelWeights

ROOT = Path(__file__).resolve().parents[1]
KINDS = (Softmax(32, sinks=4), Softmax(), Softmax(block=16, topk=3), Softmax(12, learned=5))
SHAPE = Shape(5, 4, 2, 16, 10_000, 9_000, 700, KINDS, 4)


def seen(kind: Softmax, position: int) -> tuple[int, int]:
    """Keys that the query at `position` (from 1) sees in a layer, and blocks it is compared with."""
    places = range(1, position + 1)
    if kind.block:
        own, earlier = (position - 1) % kind.block + 1, (position - 1) // kind.block
        compared = earlier if 1 < kind.topk <= earlier else 0
        return own + kind.block * min(kind.topk - 1, earlier), compared
    if kind.window < 0:
        return len(places) + kind.learned, 0
    near = [key for key in places if key >= position - kind.window]
    return len({*near, *(key for key in places if key <= kind.sinks)}) + kind.learned, 0


def one_by_one(shape: Shape, start: int, tokens: int) -> int:
    """Multiply-accumulates of attention, a token and a layer at a time."""
    total = 0
    for position in range(start + 1, start + tokens + 1):
        for kind in shape.softmax:
            keys, compared = seen(kind, position)
            total += shape.heads * shape.head_dim * (2 * keys + compared)
        total += shape.states
    return total


@pytest.mark.parametrize(
    ("start", "tokens"),
    [(0, 1), (0, 15), (0, 16), (0, 17), (0, 37), (0, 49), (0, 100), (33, 10), (47, 2), (90, 1), (90, 70)],
)
def test_attention_is_counted_exactly(start: int, tokens: int) -> None:
    assert SHAPE.attention(start, tokens) == one_by_one(SHAPE, start, tokens)


@pytest.mark.parametrize("topk", [1, 2, 5])
def test_any_number_of_blocks_is_counted_exactly(topk: int) -> None:
    shape = replace(SHAPE, softmax=(Softmax(block=8, topk=topk),))
    for tokens in (0, 7, 8, 9, 31, 32, 33, 100):
        assert shape.attention(0, tokens) == one_by_one(shape, 0, tokens)


def met_by_a_token(weights: ModelWeights, active: int) -> int:
    """Elements of all matrices that one token meets, tables left out; `active` routed experts of a layer."""
    total = 0
    for layer in weights.layers:
        matrices = [x.weight for x in (layer.qkv, layer.out, layer.gate_up, layer.down)]
        if layer.experts is not None:
            e = layer.experts
            matrices += [e.router, *(x.weight for x in (*e.gate_up[:active], *e.down[:active]))]
        if layer.gates is not None and layer.gates.decay is not None:
            decay = layer.gates.decay
            matrices += [decay.weight] if isinstance(decay, Linear) else [decay.down, decay.up]
        if layer.sparse is not None:
            x = layer.sparse
            matrices += [x.qkv.weight, x.out.weight, x.low, x.up_q, x.up_k, x.gates, x.router]
        total += sum(matrix.numel() for matrix in matrices)
    return total


@pytest.mark.parametrize(
    "family", ["engram", "gated", "gla_swa", "w8aspike", "sse_swa_moba", "moe", "moe of one branch", "llama"]
)
def test_matrices_are_those_that_a_token_meets(family: str, tmp_path: Path) -> None:
    golden = {"gla_swa": "gla_swa_tiny", "w8aspike": "w8aspike_tiny", "sse_swa_moba": "sse_swa_moba_tiny"}
    active = 1
    if family in golden:
        engine = Engine.load(DATA / golden[family])
    elif family == "llama":
        engine = Engine.load(tiny_dense_dir(tmp_path / "m", "llama"))
    elif family.startswith("moe"):
        alone = {"linear_layers": [3], "linear_gate": "low_rank", "num_experts_per_tok": 2}
        engine = Engine.load(tiny_moe_dir(tmp_path / "m", **(alone if "one" in family else {})))
        active = 2 if "one" in family else 1
    else:
        engine = Engine.load(tiny_model_dir(tmp_path, gates=family == "gated"))
    shape = Shape.of(engine)
    assert shape.matrices == met_by_a_token(engine.decoder.weights, active)
    c = engine.config
    assert shape.layers == c.num_layers
    assert len(shape.softmax) == sum(x.window is not None or x.memory is not None for x in c.layers)


def test_a_branch_without_weights_costs_nothing() -> None:
    assert Shape.of(tiny_engine()).states == 0


def test_sparse_states_and_experts_by_hand() -> None:
    """d 48, D 16, H 4, Hk 2, I 80; layers 0, 2 of blocks, 5 whole, 1, 3, 4 of sparse states (2 of 4)."""
    shape = Shape.of(Engine.load(DATA / "sse_swa_moba_tiny"))
    plain = 6 * (48 * 16 * (4 + 2 + 2 + 4) + 3 * 48 * 80)
    sparse = 4 * 48 * 64 + 2 * (48 * 16 + 16 * 64) + 2 * 8 * 48 + 4 * 48
    assert (shape.full_matrices, shape.matrices) == (plain, plain + 3 * sparse)
    assert shape.states == 3 * (1 + 2) * 4 * (4 * 16 * 16)
    blocks, window = Softmax(block=16, topk=3), Softmax(7)
    assert shape.softmax == (blocks, window, blocks, window, window, Softmax())


def test_the_full_size_mixture_by_hand() -> None:
    """SpikingBrain-76B: 21 layers of a router, one expert and the shared one, 7 dense; gates are the keys."""
    folder = ROOT / "assets" / "models" / "spikingbrain-76b-a12b"
    config = parse_config(json.loads((folder / "config.json").read_text("utf-8")))
    shape = Shape.of_config(config, 2)
    attention, expert = 2 * 3584 * (28 + 4) * 128, 3 * 3584 * 18944
    assert shape.matrices == 28 * attention + 7 * expert + 21 * (2 * expert + 16 * 3584)
    assert shape.matrices == shape.full_matrices
    assert shape.states == 28 * (2 * 4 + 28) * 128 * 128
    assert [i for i, kind in enumerate(shape.softmax) if kind.window < 0] == [6, 13, 20, 27]
    assert {(kind.window, kind.learned) for kind in shape.softmax} == {(4096, 128), (-1, 128)}
    # Every query of a window layer that is full sees 4,096 keys, itself and 128 sinks.
    assert shape.softmax[0].keys(10_001) - shape.softmax[0].keys(10_000) == 4096 + 1 + 128


def test_a_shape_survives_json() -> None:
    assert Shape.from_dict(json.loads(json.dumps(SHAPE.as_dict()))) == SHAPE


def test_full_attention_grows_with_the_square_and_ours_does_not() -> None:
    ours = replace(SHAPE, softmax=(Softmax(32),) * 5)
    full = ours.with_full_attention()
    assert (full.softmax, full.matrices, full.states) == ((Softmax(),) * 5, 9_000, 0)
    assert full.attention(0, 2_000_000) > 3.9 * full.attention(0, 1_000_000)
    assert ours.attention(0, 2_000_000) < 2.01 * ours.attention(0, 1_000_000)
    assert full.cache(1000) == 2 * 5 * 2 * 16 * 4 * 1000
    assert ours.cache(1000) == 0


def test_a_known_curve_is_fitted() -> None:
    points = [(t, 0.001 * t + 2e-7 * t * t) for t in (512, 2048, 8192)]
    linear, quadratic = fit_points(points)
    assert (linear, quadratic) == (pytest.approx(0.001), pytest.approx(2e-7))


@pytest.mark.parametrize("points", [[(512, 1.0), (2048, 1.5)], [(100, 5.0)], [(100, 0.1), (1000, 50.0)]])
def test_no_fit_turns_negative(points: list[tuple[int, float]]) -> None:
    linear, quadratic = fit_points(points)
    assert linear >= 0
    assert quadratic >= 0
    assert linear + quadratic > 0


def test_the_shipped_points_are_the_committed_measurements() -> None:
    fit = load_fit()
    lines = [json.loads(line) for line in (ROOT / fit.source).read_text("utf-8").splitlines()]
    measured = {x["settings"]["length"]: x["peer_tokens_per_s"] for x in lines if "peer_tokens_per_s" in x}
    assert len(fit.points) == len(measured) >= 3
    for tokens, seconds in fit.points:
        assert seconds == pytest.approx(tokens / measured[tokens], rel=1e-3)
    assert fit.longest == max(measured)


def test_the_shipped_threshold_curve_is_the_committed_one() -> None:
    shipped = json.loads((ROOT / "assets" / "measured" / "threshold.json").read_text("utf-8"))
    lines = [json.loads(line) for line in (ROOT / shipped["source"]).read_text("utf-8").splitlines()]
    by_k = {line["settings"]["k"]: line for line in lines}
    assert shipped["date"] == lines[-1]["date"], "ship.py has not been run since"
    for point in shipped["points"]:
        assert all(by_k[point["k"]][name] == value for name, value in point.items())


def test_the_comparison_counts_both_sides() -> None:
    found = compare(SHAPE.as_dict(), 1000, 10, load_fit())
    assert found is not None
    assert found.ours_reading == SHAPE.macs(0, 1000)
    assert found.full_question == SHAPE.with_full_attention().macs(1000, 10)


def test_times_are_the_fits_own_for_the_measured_size_and_scaled_by_operations_for_another() -> None:
    fit = load_fit()
    measured = Shape(30, 9, 3, 64, fit.matrices, fit.matrices, 0, (Softmax(1024, sinks=4),) * 30, 2)
    same = compare(measured.as_dict(), 1000, 10, fit)
    double = compare(replace(measured, full_matrices=2 * fit.matrices, layers=60).as_dict(), 1000, 10, fit)
    assert same is not None
    assert double is not None
    assert (same.scaled, double.scaled) == (False, True)
    assert same.full_reading_s == pytest.approx(fit.seconds(1000))
    assert double.full_reading_s == pytest.approx(2 * fit.seconds(1000))


def test_the_shape_of_an_older_version_is_passed_over() -> None:
    assert compare({"hidden": 64, "windows": [32]}, 1000, 10, load_fit()) is None
