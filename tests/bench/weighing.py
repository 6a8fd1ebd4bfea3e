"""Weighing passages sifted halfway, together to the end, and one by one, in turn: how long each takes, and
whether what is read to the end gives the same numbers.

    python tests/bench/weighing.py --model HOME/models/default --data DATA [--runs 7]

Twelve neighbouring passages of a development set and a question of one of them; warmed up once.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from torch import Tensor

import app.bench  # noqa: F401  (before torch)
from app.recalling import CANDIDATES, EVIDENCE
from engine import Engine
from engine.convert.data import read_eval
from engine.evidence import Evidence, Weighed, rank_evidence
from tests.bench.record import record


class OneByOne:
    """An engine that reads every sequence by itself, to the end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def fits_abreast(self, sequences: Sequence[Sequence[int]]) -> bool:
        """Never."""
        return False

    def hidden_each(self, sequences: Sequence[Sequence[int]]) -> Iterator[Tensor]:
        """`Engine.hidden` of each."""
        return map(self._engine.hidden, sequences)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", default="medical")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    engine = Engine.load(options.model)
    items, questions = read_eval(options.data, options.set)
    shown = {item.cid for item in items[:CANDIDATES]}
    question = next(q.question for q in questions if q.cid in shown)
    evidence = [Evidence(i, item.title, "", item.text) for i, item in enumerate(items[:CANDIDATES])]
    ways: dict[str, tuple[Any, int]] = {
        "sifted": (engine, EVIDENCE),
        "together": (engine, CANDIDATES),
        "one_by_one": (OneByOne(engine), CANDIDATES),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, dict[int, tuple[float, float]]] = {}
    ranked: list[Weighed] = []
    for run in range(options.runs + 1):
        for name, (one, top) in ways.items():
            started = time.perf_counter()
            ranked = rank_evidence(one, question, evidence, top)
            found[name] = {item.evidence.id: (item.gain, item.odds) for item in ranked}
            if run:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: median(times) for name, times in seconds.items()}
    values: dict[str, object] = {f"{name}_s": round(value, 3) for name, value in medians.items()}
    values |= {f"{name}_s_max": round(max(times), 3) for name, times in seconds.items()}
    values |= {
        "together_ratio": round(medians["together"] / medians["one_by_one"], 3),
        "sifted_ratio": round(medians["sifted"] / medians["one_by_one"], 3),
        "same_numbers": all(
            found["one_by_one"][key] == pair for way in found.values() for key, pair in way.items()
        ),
    }
    settings = {"set": options.set, "passages": CANDIDATES, "tokens": sum(item.tokens for item in ranked)}
    record("weighing", settings | {"runs": options.runs, "backend": engine.backend}, values, options.out)


if __name__ == "__main__":
    main()
