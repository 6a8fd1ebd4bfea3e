"""The same work through a Transformer of the same size: operations counted, time fitted to measurements."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from engine.costs import Shape

MEASURED = Path(__file__).resolve().parents[1] / "assets" / "measured" / "full_attention.json"


@dataclass(frozen=True, slots=True)
class Fit:
    """Seconds to read T tokens with full attention: linear * T + quadratic * T^2, on one machine.

    `own_linear`: seconds a token that this program took in the same runs. Of the measured model `matrices`
    are the multiply-accumulates a token in weight matrices, `scores` those a key (layers x heads x D).
    """

    linear: float
    quadratic: float
    own_linear: float
    matrices: int
    scores: int
    machine: str
    source: str
    points: tuple[tuple[int, float], ...]

    def seconds(self, tokens: float) -> float:
        """Fitted seconds; beyond the last point an extrapolation."""
        return self.linear * tokens + self.quadratic * tokens**2

    def scaled_to(self, shape: Shape) -> Fit:
        """The same for a model of another size, each term by its operations."""
        linear = shape.full_matrices / self.matrices
        quadratic = shape.layers * shape.heads * shape.head_dim / self.scores
        return replace(
            self,
            linear=self.linear * linear,
            quadratic=self.quadratic * quadratic,
            own_linear=self.own_linear * shape.matrices / self.matrices,
        )

    def is_of(self, shape: Shape) -> bool:
        """Whether a model of this size is what was measured."""
        return (shape.full_matrices, shape.layers * shape.heads * shape.head_dim) == (
            self.matrices,
            self.scores,
        )

    @property
    def longest(self) -> int:
        """The longest context that was measured."""
        return max(tokens for tokens, _ in self.points)


def fit_points(points: list[tuple[int, float]]) -> tuple[float, float]:
    """(linear, quadratic), neither negative, with the least sum of squared relative errors."""
    rows = [(tokens / seconds, tokens * tokens / seconds) for tokens, seconds in points]
    aa, ab, bb = (sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    a, b = sum(row[0] for row in rows), sum(row[1] for row in rows)
    determinant = aa * bb - ab * ab
    if len(points) > 1 and determinant > 0:
        linear, quadratic = (a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant
        if linear >= 0 and quadratic >= 0:
            return linear, quadratic
    only_linear, only_quadratic = a / aa, b / bb
    wrong_linear = sum((1 - only_linear * row[0]) ** 2 for row in rows)
    wrong_quadratic = sum((1 - only_quadratic * row[1]) ** 2 for row in rows)
    return (only_linear, 0.0) if wrong_linear <= wrong_quadratic else (0.0, only_quadratic)


@cache
def load_fit(path: Path = MEASURED) -> Fit:
    """The fit that the repository carries."""
    kept = json.loads(path.read_text("utf-8"))
    points = tuple((int(tokens), float(seconds)) for tokens, seconds in kept["points"])
    linear, quadratic = fit_points(list(points))
    own = [(int(tokens), float(seconds)) for tokens, seconds in kept["own_points"]]
    own_linear = statistics.median(seconds / tokens for tokens, seconds in own)
    measured = int(kept["matrices"]), int(kept["scores"])
    return Fit(linear, quadratic, own_linear, *measured, kept["machine"], kept["source"], points)


@dataclass(frozen=True, slots=True)
class Versus:
    """Ours and full attention's cost of reading `context` tokens, and of `tokens` more for one question.

    `scaled`: the times are those of the measured model, brought to this one's size by operations.
    """

    context: int
    tokens: int
    ours_reading: int
    full_reading: int
    ours_question: int
    full_question: int
    full_cache_bytes: int
    full_reading_s: float
    ours_reading_s: float
    scaled: bool


def compare(shape: dict[str, Any], context: int, tokens: int, fit: Fit) -> Versus | None:
    """Counted from `Shape.as_dict`; seconds from the fit. None for a shape that an older version wrote."""
    try:
        ours = Shape.from_dict(shape)
    except TypeError:
        return None
    full, sized = ours.with_full_attention(), fit.scaled_to(ours)
    return Versus(
        context=context,
        tokens=tokens,
        ours_reading=ours.macs(0, context),
        full_reading=full.macs(0, context),
        ours_question=ours.macs(context, tokens),
        full_question=full.macs(context, tokens),
        full_cache_bytes=full.cache(context + tokens),
        full_reading_s=sized.seconds(context),
        ours_reading_s=sized.own_linear * context,
        scaled=not fit.is_of(ours),
    )
