"""Counted operations against counting one by one; the fit; the shipped figures against the committed ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from app_home import tiny_engine

from app.versus import compare, fit_points, load_fit
from engine.costs import Shape

ROOT = Path(__file__).resolve().parents[1]
SHAPE = Shape(64, 96, 4, 2, 16, (32, -1, None), 4, 1, 8, 4)


def one_by_one(shape: Shape, start: int, tokens: int) -> int:
    """Multiply-accumulates of attention, a token at a time."""
    total = 0
    for position in range(start + 1, start + tokens + 1):
        for window in shape.windows:
            seen = list(range(1, position + 1))
            if window is None:
                seen = []
            elif window >= 0:
                near = [key for key in seen if key >= position - window]
                seen = near + [key for key in seen if key <= shape.sinks and key not in near]
            for _ in seen:
                total += 2 * shape.heads * shape.head_dim
        for _ in range(shape.linear_layers):
            total += 2 * shape.kv_heads * shape.head_dim**2 + shape.heads * shape.head_dim**2
    return total


@pytest.mark.parametrize(
    ("start", "tokens"), [(0, 1), (0, 30), (0, 37), (0, 38), (0, 100), (33, 10), (90, 1)]
)
def test_attention_is_counted_exactly(start: int, tokens: int) -> None:
    assert SHAPE.attention(start, tokens) == one_by_one(SHAPE, start, tokens)


def test_projections_are_the_weights_of_the_layers() -> None:
    engine = tiny_engine()
    layers = engine.decoder.weights.layers
    weights = sum(w.weight.numel() for y in layers for w in (y.qkv, y.out, y.gate_up, y.down))
    shape = Shape.of(engine)
    assert shape.linear_layers == 0, "the branch has no weights, so it costs nothing"
    assert shape.projections() == weights


def test_a_shape_survives_json() -> None:
    assert Shape.from_dict(json.loads(json.dumps(SHAPE.as_dict()))) == SHAPE


def test_full_attention_grows_with_the_square_and_ours_does_not() -> None:
    ours = replace(SHAPE, windows=(32, 32, 32))
    full = ours.with_full_attention()
    assert full.windows == (-1, -1, -1)
    assert full.attention(0, 2_000_000) > 3.9 * full.attention(0, 1_000_000)
    assert ours.attention(0, 2_000_000) < 2.01 * ours.attention(0, 1_000_000)
    assert full.cache(1000) == 2 * 3 * 2 * 16 * 4 * 1000
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
    for point in shipped["points"]:
        assert all(by_k[point["k"]][name] == value for name, value in point.items())


def test_the_comparison_counts_both_sides() -> None:
    found = compare(SHAPE.as_dict(), 1000, 10, load_fit())
    assert found.ours_reading == SHAPE.macs(0, 1000)
    assert found.full_question == SHAPE.with_full_attention().macs(1000, 10)
    assert found.full_reading_s == pytest.approx(load_fit().seconds(1000))
