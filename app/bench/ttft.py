"""Time to the first token of a question over a fresh context, against the same model with full attention."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from app.bench.plan import Plan
from app.bench.record import Measured
from app.bench.text import text_ids
from engine import Engine
from engine.variants import full_attention

LENGTHS = (65_536, 262_144, 1_048_576, 2_097_152, 4_194_304)
PEER_LENGTHS = (2048, 4096, 8192, 16_384, 32_768)
SMALL = (128, 256, 512, 1024)
SMALL_BEYOND = (2048, 4096)
ALONE = 262_144
Times = dict[int, float]


def measure(plan: Plan, worker: Mapping[int, float] | None = None) -> Iterator[Measured]:
    """Both sides where both are measured; beyond, the peer is its fitted quadratic, and ours is measured up
    to `plan.tokens`, else from the run of a `worker` (seconds by length), else follows its last speed.
    """
    lengths: tuple[int, ...] = SMALL if plan.quick else PEER_LENGTHS
    if plan.tokens:
        lengths = tuple(n for n in lengths if n <= plan.tokens) or lengths[:1]
    ours: Times = {}
    theirs: Times = {}
    yield from beside(plan, lengths, ours, theirs)
    beyond = SMALL_BEYOND if plan.quick else LENGTHS
    most = SMALL_BEYOND[0] if plan.quick else plan.tokens or ALONE
    ours |= alone(plan, [n for n in beyond if n <= most])
    a, b, error = fit_quadratic(list(theirs), list(theirs.values()))
    for length in beyond:
        source, name, mine = _mine(length, ours, worker or {})
        full = a * length + b * length**2
        values = {
            name: round(mine, 2),
            "fitted_full_attention_ttft_s": round(full, 3),
            "fit_error": round(error, 4),
            "fitted_ratio": round(full / mine, 1),
        }
        yield Measured({"length": length, "ours": source, "fitted_from": list(theirs)}, values)


def beside(plan: Plan, lengths: Sequence[int], ours: Times, theirs: Times) -> Iterator[Measured]:
    """Ours and full attention in turn, medians; both are added to `ours` and `theirs`."""
    engine = plan.engine
    peer = full_attention(engine)
    ids = list(text_ids(plan.tokenizer, max(lengths)))
    for length in lengths:
        runs = plan.runs if length <= 8192 else 1
        first_token(engine, ids[:64]), first_token(peer, ids[:64])
        pairs = [(first_token(engine, ids[:length]), first_token(peer, ids[:length])) for _ in range(runs)]
        ours[length], theirs[length] = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = theirs[length] / ours[length]
        values = {"ttft_s": round(ours[length], 3), "full_attention_ttft_s": round(theirs[length], 3)}
        yield Measured(
            {"length": length, "ours": "measured", "runs": runs}, values | {"ratio": round(ratio, 2)}
        )


def alone(plan: Plan, lengths: Sequence[int]) -> Times:
    """Ours at ascending lengths of one reading: seconds read so far, and those of a token behind it."""
    engine, found = plan.engine, {}
    if not lengths:
        return {}
    state, marks, spent = engine.new_state(), list(lengths), 0.0
    ids = islice(text_ids(plan.tokenizer, lengths[-1]), lengths[-1])
    started = time.perf_counter()
    for progress in engine.read(ids, state):
        if progress.tokens_read < marks[0]:
            continue
        asked = time.perf_counter()
        next(engine.generate([1], state.clone(), max_new_tokens=1, stop_ids=()))
        now = time.perf_counter()
        found[marks.pop(0)] = now - started - spent
        spent += now - asked
        if not marks:
            break
    return found


def _mine(length: int, ours: Times, worker: Mapping[int, float]) -> tuple[str, str, float]:
    """Where our time at a length comes from, what it is called, and the time."""
    if length in ours:
        return "measured", "ttft_s", ours[length]
    if length in worker:
        return "worker run", "worker_ttft_s", worker[length]
    longest = max(ours)
    return "fitted", "fitted_ttft_s", ours[longest] * length / longest


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
