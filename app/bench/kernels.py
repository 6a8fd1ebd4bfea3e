"""The arithmetic by itself: products of many tokens, window attention, and event-driven products of one."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from app.bench.plan import Plan
from app.bench.record import Measured
from app.bench.timing import in_turn, ratio
from engine import probes

SILENT = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
WINDOW = 1024


def measure(plan: Plan) -> Iterator[Measured]:
    """Microseconds a token of one layer's products and attention, then one token's product against the
    share of silent channels.
    """
    engine = plan.engine
    shapes = probes.layer_shapes(engine.config)
    work = 2 * sum(n * k for n, k in shapes)
    for rows in (16,) if plan.quick else (64, 256, 1024):
        runs = {"torch INT8 products": probes.torch_products(rows, shapes)}
        whole = probes.whole_layer(engine, rows)
        if whole is not None:
            runs["whole layer"] = whole
        found = in_turn(plan.runs, runs)
        for name, times in found.items():
            middle = statistics.median(times)
            values = {"us_per_token": 1e6 * middle / rows, "gop_per_s": work * rows / middle / 1e9}
            yield Measured({"kernel": name, "rows": rows}, _rounded(values))
        times = in_turn(plan.runs, {"": probes.window_attention(engine, rows, WINDOW)})[""]
        settings = {"kernel": "window attention", "rows": rows, "window": WINDOW}
        yield Measured(settings, _rounded({"us_per_token": 1e6 * statistics.median(times) / rows}))
    yield from event_driven(plan)


def event_driven(plan: Plan) -> Iterator[Measured]:
    """One token through weights that no cache holds, those of silent channels unread, against torch's
    product, which reads all; where both break even, and what silence saves.
    """
    layers = plan.engine.decoder.ops.layers
    if layers is None:
        yield Measured({"kernel": "event-driven product"}, {"ms_per_token": None})
        return
    copies = 2 if plan.quick else 30
    pair = probes.one_token(layers, probes.layer_shapes(plan.engine.config), copies)
    event: dict[float, float] = {}
    break_even: float | None = None
    for share in SILENT:
        skipping, whole = pair(share)
        found = in_turn(plan.runs, {"event": skipping, "dense": whole})
        event[share] = statistics.median(found["event"])
        speedup = ratio(found["dense"], found["event"])
        # From there on it never loses.
        break_even = (share if break_even is None else break_even) if speedup >= 1 else None
        values = {
            "ms_per_token": 1000 * event[share],
            "dense_ms_per_token": 1000 * statistics.median(found["dense"]),
            "speedup": speedup,
            "time_of_none_silent": event[share] / event[0.0],
        }
        settings = {"kernel": "event-driven product", "silent_share": share, "layers": copies}
        yield Measured(settings, _rounded(values))
    yield Measured(
        {"kernel": "event-driven product", "layers": copies}, {"break_even_silent_share": break_even}
    )


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}
