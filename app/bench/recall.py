"""Search of recall codes, exhaustive: 20,000 codes are 4 million tokens, 500,000 are 100 million."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial

import numpy as np

from app.bench.plan import Plan
from app.bench.record import Measured
from app.bench.timing import in_turn
from engine.host import choose_ops
from engine.recall import search_codes

TOKENS_A_PASSAGE = 200
CODE_BYTES = 64
TOP = 40


def measure(plan: Plan) -> Iterator[Measured]:
    """Milliseconds of one search over random codes."""
    ops, _ = choose_ops()  # a search uses the compiled library once something has loaded it
    draw = np.random.default_rng(0)
    for count in (500, 2000) if plan.quick else (20_000, 500_000):
        codes = draw.integers(0, 256, (count, CODE_BYTES), np.uint8)
        query = draw.integers(0, 256, CODE_BYTES, np.uint8).tobytes()
        found = in_turn(max(plan.runs, 5), {"": partial(search_codes, codes, query, TOP)})
        times = [1000 * s for s in found[""]]
        values = {
            "search_ms": round(statistics.median(times), 3),
            "search_ms_max": round(max(times), 3),
        }
        settings = {"codes": count, "tokens": count * TOKENS_A_PASSAGE, "top": TOP, "kernels": ops.name}
        yield Measured(settings, values)
