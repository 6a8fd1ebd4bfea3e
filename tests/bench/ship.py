"""Writes what the product shows of the committed measurements of full attention into assets/measured.

python tests/bench/ship.py --model HOME/models/default [--results tests/bench/results/reading.jsonl]

`--model`: the prepared model whose size was measured.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.versus import MEASURED, fit_points
from engine.config import parse_config
from engine.costs import Shape
from tests.bench.record import RESULTS, ROOT


def points_of(lines: list[dict], name: str) -> list[tuple[int, float]]:
    """(tokens, seconds) at the speed of that name, the median where a length was measured again."""
    seconds: dict[int, list[float]] = {}
    for line in lines:
        length = line["settings"]["length"]
        seconds.setdefault(length, []).append(length / line[name])
    return [(length, round(statistics.median(found), 4)) for length, found in sorted(seconds.items())]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS / "reading.jsonl")
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.results.read_text("utf-8").splitlines()]
    peers = [line for line in lines if "peer_tokens_per_s" in line]
    shape = Shape.of_config(parse_config(json.loads((options.model / "config.json").read_text("utf-8"))), 2)
    points = points_of(peers, "peer_tokens_per_s")
    kept = {
        "source": str(options.results.resolve().relative_to(ROOT)),
        "peer": peers[-1]["settings"]["compare"],
        "machine": f"{peers[-1]['machine']['cpu']}, {peers[-1]['machine']['cores']} cores",
        "date": peers[-1]["date"],
        "matrices": shape.full_matrices,
        "scores": shape.layers * shape.heads * shape.head_dim,
        "points": points,
        "own_points": points_of(peers, "tokens_per_s"),
    }
    MEASURED.parent.mkdir(parents=True, exist_ok=True)
    MEASURED.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    linear, quadratic = fit_points(points)
    print(f"{len(points)} points, fitted_seconds = {linear:.4g} T + {quadratic:.4g} T^2")


if __name__ == "__main__":
    main()
