"""The arithmetic by itself: products of many tokens, window attention, and event-driven products of one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping

from app.bench.plan import Plan
from app.bench.record import Measured
from app.bench.timing import in_turn, ratio, seconds
from engine import probes

SILENT = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
WINDOW = 1024
EVENT_S = 60.0


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
    """One token through weights that no cache holds, those of silent channels unread, against products that
    read all, ours compiled and torch's; and the share of silent channels where the first breaks even.

    All shares and ways in turn for a minute: what else the machine does meets each of them alike.
    """
    layers = plan.engine.decoder.ops.layers
    if layers is None:
        yield Measured({"kernel": "event-driven product"}, {"ms_per_token": None})
        return
    copies = 2 if plan.quick else 30
    ways = probes.one_token(layers, probes.layer_shapes(plan.engine.config), copies)
    runs = {share: ways(share) for share in SILENT}
    found: dict[tuple[float, str], list[float]] = {(s, way): [] for s in SILENT for way in runs[s]}
    began, rounds = time.perf_counter(), 0
    while rounds < plan.runs or (not plan.quick and time.perf_counter() - began < EVENT_S):
        for share, way in found:
            found[share, way].append(seconds(runs[share][way]))
        rounds += 1
    speedups = {}
    for share in SILENT:
        event, whole = found[share, "event"], found[share, "whole"]
        speedups[share] = ratio(whole, event)
        values = {
            "ms_per_token": 1000 * statistics.median(event),
            "ms_per_token_min": 1000 * min(event),
            "whole_ms_per_token": 1000 * statistics.median(whole),
            "whole_ms_per_token_min": 1000 * min(whole),
            "torch_ms_per_token": 1000 * statistics.median(found[share, "torch"]),
            "speedup": speedups[share],
            "speedup_of_min": min(whole) / min(event),
            "time_of_none_silent": ratio(event, found[0.0, "event"]),
        }
        settings = {"kernel": "event-driven product", "silent_share": share, "layers": copies}
        yield Measured(settings | {"rounds": rounds}, _rounded(values))
    settings = {"kernel": "event-driven product", "layers": copies, "rounds": rounds}
    yield Measured(settings, {"break_even_silent_share": break_even(speedups)})


def break_even(speedups: Mapping[float, float]) -> float | None:
    """The share of silent channels from which on skipping their weights never loses, between measured shares
    by a straight line; None if it always loses.
    """
    shares = sorted(speedups)
    losing = [i for i, share in enumerate(shares) if speedups[share] < 1]
    if not losing:
        return shares[0]
    if losing[-1] + 1 == len(shares):
        return None
    below, above = shares[losing[-1]], shares[losing[-1] + 1]
    part = (1 - speedups[below]) / (speedups[above] - speedups[below])
    return round(below + part * (above - below), 3)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}
