"""Time to the first token of a question over a fresh context, against the same model with full attention."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence

import numpy as np

from app.bench.plan import Plan
from app.bench.reading import along
from app.bench.record import Measured
from app.bench.text import text_ids
from engine import Engine
from engine.variants import full_attention

LENGTHS = (65_536, 262_144, 1_048_576, 2_097_152, 4_194_304)
PEER_LENGTHS = (2048, 4096, 8192, 16_384, 32_768)


def measure(plan: Plan) -> Iterator[Measured]:
    """Both sides where both are measured, then lengths where the peer is its fitted quadratic and ours
    follows the speed measured over the longest reading.
    """
    ours = plan.engine
    peer = full_attention(ours)
    small = (128, 256, 512, 1024)
    lengths = (
        small if plan.quick else tuple(n for n in PEER_LENGTHS if n <= (plan.tokens or PEER_LENGTHS[-1]))
    )
    ids = list(text_ids(plan.tokenizer, max(lengths)))
    points: list[tuple[int, float, float]] = []
    for length in lengths:
        runs = plan.runs if length <= 8192 else 1
        first_token(ours, ids[:64]), first_token(peer, ids[:64])
        pairs = [(first_token(ours, ids[:length]), first_token(peer, ids[:length])) for _ in range(runs)]
        mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        points.append((length, mine, theirs))
        values = {"ttft_s": round(mine, 3), "full_attention_ttft_s": round(theirs, 3)}
        yield Measured({"length": length, "runs": runs}, values | {"ratio": round(theirs / mine, 2)})
    speed = points[-1][0] / points[-1][1]
    if not plan.quick:
        *_, last = along(plan, max(plan.tokens, 65_536))
        speed = last.values["tokens"] / last.values["seconds"]
    a, b, error = fit_quadratic([p[0] for p in points], [p[2] for p in points])
    for length in (4096, 8192) if plan.quick else LENGTHS:
        full = a * length + b * length**2
        values = {
            "fitted_ttft_s": round(length / speed, 2),
            "tokens_per_s": round(speed, 1),
            "fitted_full_attention_ttft_s": round(full, 3),
            "fit_error": round(error, 4),
            "fitted_ratio": round(full * speed / length, 1),
        }
        yield Measured({"length": length, "fitted_from": [p[0] for p in points]}, values)


def first_token(engine: Engine, ids: Sequence[int]) -> float:
    """Seconds from an empty state to the first token after `ids`."""
    started = time.perf_counter()
    state = engine.new_state()
    for _ in engine.read(ids[:-1], state):
        pass
    next(engine.generate(ids[-1:], state, max_new_tokens=1, stop_ids=()))
    return time.perf_counter() - started


def fit_quadratic(lengths: Sequence[int], times: Sequence[float]) -> tuple[float, float, float]:
    """a, b of `a n + b n^2` with least relative squares and neither below zero, and the largest relative
    error at a measured point.
    """
    n, t = np.asarray(lengths, float), np.asarray(times, float)
    table = np.stack((n / t, n**2 / t), axis=1)
    (a, b), *_ = np.linalg.lstsq(table, np.ones(len(n)), rcond=None)
    if a < 0 or b < 0:
        column = 1 if a < 0 else 0
        only = float(table[:, column].sum() / (table[:, column] ** 2).sum())
        a, b = (0.0, only) if column else (only, 0.0)
    return float(a), float(b), float(np.abs(table @ np.array([a, b]) - 1).max())
