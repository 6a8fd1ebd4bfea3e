"""Timing things in turn, so that what else the machine does meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def in_turn(runs: int, candidates: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each candidate, one warm-up and `runs` rounds A B A B."""
    for run in candidates.values():
        run()
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(runs):
        for name, run in candidates.items():
            found[name].append(seconds(run))
    return found


def ratio(above: list[float], below: list[float]) -> float:
    """Median of the ratios of neighbouring runs."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
