"""`bench`: measures this machine and writes what it found."""

from __future__ import annotations

import importlib
from argparse import Namespace
from pathlib import Path
from typing import Any

from app.commands.output import print_json, print_table
from app.services import Services


def run(services: Services, chosen: Namespace) -> int:
    """Measure, show each result as it comes, and append it to a file of JSON lines."""
    from app.bench.plan import Bench, Plan
    from app.bench.record import append, result_line

    measure: Bench = importlib.import_module(f"app.bench.{chosen.bench}").measure
    plan = Plan(services, quick=chosen.quick, runs=chosen.runs, tokens=chosen.tokens)
    out = (
        Path(chosen.out).expanduser()
        if chosen.out
        else services.home.path / "bench" / f"{chosen.bench}.jsonl"
    )
    lines = []
    for found in measure(plan):
        settings = found.settings | {"quick": chosen.quick}
        if services.engine_loaded:
            settings["backend"] = services.engine.backend
        line = result_line(chosen.bench, settings, found.values)
        append(out, line)
        lines.append(line)
        if services.options.json:
            print_json(line)
        else:
            show(found.settings, found.values)
    if not services.options.json:
        print(f"{len(lines)} results appended to {out}")
    return 0


def show(settings: dict[str, Any], values: dict[str, Any]) -> None:
    """One result as a small table: what was measured in the head, figures below."""
    head = ", ".join(f"{name} {value}" for name, value in settings.items() if value != "")
    print(head)
    print_table(("", "FIGURE", "VALUE"), [("", name, _figure(value)) for name, value in values.items()])
    print(flush=True)


def _figure(value: Any) -> str:
    if value is None:
        return "not available"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) and value < 1000 else f"{value:,.1f}"
