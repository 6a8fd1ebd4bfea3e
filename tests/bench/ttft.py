"""Time to the first token, up to 256k tokens measured here, beyond from the run of a real worker.

    python tests/bench/ttft.py --home HOME [--worker tests/bench/results/worker.jsonl]

HOME holds the prepared model. The newest run of tests/bench/worker.py gives the seconds that the product took
to read 1, 2 and 4 million tokens; a first token behind them takes what it takes behind any context (see
second_question.py). Without such a run those lengths follow the measured speed and are called fitted.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from app.bench.plan import Plan
from app.bench.ttft import LENGTHS, measure
from app.services import Services
from app.settings import Options
from tests.bench.record import RESULTS, record


def worker_times(line: dict[str, Any]) -> dict[int, float]:
    """Seconds to the lengths that a worker's reading passed, between the ends of its stretches."""
    tokens, seconds = [0], [0.0]
    for row in line["stretches"]:
        seconds.append(seconds[-1] + (row["tokens"] - tokens[-1]) / row["tokens_per_s"])
        tokens.append(row["tokens"])
    return {n: float(np.interp(n, tokens, seconds)) for n in LENGTHS if n <= tokens[-1]}


def newest_run(path: Path) -> dict[int, float]:
    """The times of the longest run with stretches in a file of results, the newest of equals."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
    runs = [line for line in lines if line.get("stretches")]
    return worker_times(max(runs, key=lambda line: (line["tokens"], line["date"]))) if runs else {}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the prepared model")
    parser.add_argument("--worker", type=Path, default=RESULTS / "worker.jsonl")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work")
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    plan = Plan(Services(Options(home=options.home)), quick=options.quick, runs=options.runs)
    for found in measure(plan, newest_run(options.worker)):
        settings = found.settings | {"backend": plan.engine.backend, "quick": options.quick}
        record("ttft", settings, found.values, options.out)


if __name__ == "__main__":
    main()
