"""Writes what the product shows of the committed measurements into assets/measured: the times of full
attention, and what the threshold factor trades.

python tests/bench/ship.py --model HOME/models/default [--results tests/bench/results]

`--model`: the prepared model whose size was measured.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.versus import MEASURED, fit_points
from engine.config import parse_config
from engine.costs import Shape
from tests.bench.record import RESULTS, ROOT


def points_of(lines: list[dict], name: str) -> list[tuple[int, float]]:
    """(tokens, seconds) at the speed of that name, the newest where a length was measured again."""
    speeds = {line["settings"]["length"]: line[name] for line in sorted(lines, key=lambda line: line["date"])}
    return [(length, round(length / speed, 4)) for length, speed in sorted(speeds.items())]


def threshold_curve(lines: list[dict]) -> dict:
    """The curve of the newest run: the newest line of each k that was measured as the last line was."""

    def measured_as(line: dict) -> dict:
        return {name: value for name, value in line["settings"].items() if name != "k"}

    last = lines[-1]
    newest = {line["settings"]["k"]: line for line in lines if measured_as(line) == measured_as(last)}
    plain = newest.pop(None)
    names = ("perplexity", "spikes_per_channel", "silent_share", "sparsity_3_bit", "f1", "quote_holds_answer")
    points = [
        {"k": k} | {name: line[name] for name in names if name in line} for k, line in sorted(newest.items())
    ]
    return {
        "source": "tests/bench/results/threshold.jsonl",
        "date": last["date"],
        "machine": last["machine"]["cpu"],
        **measured_as(last),
        "answerable": last.get("answerable", 0),
        "perplexity_dense": plain["perplexity"],
        "f1_dense": plain.get("f1"),
        "points": points,
    }


def full_attention(lines: list[dict], source: Path, shape: Shape) -> dict:
    """Times of full attention and ours in the same runs, at the size that was measured."""
    peers = [line for line in lines if "peer_tokens_per_s" in line]
    return {
        "source": str(source.resolve().relative_to(ROOT)),
        "peer": peers[-1]["settings"]["compare"],
        "machine": f"{peers[-1]['machine']['cpu']}, {peers[-1]['machine']['cores']} cores",
        "date": peers[-1]["date"],
        "matrices": shape.full_matrices,
        "scores": shape.layers * shape.heads * shape.head_dim,
        "points": points_of(peers, "peer_tokens_per_s"),
        "own_points": points_of(peers, "tokens_per_s"),
    }


def read_lines(path: Path) -> list[dict]:
    """A results file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write(path: Path, kept: dict) -> None:
    """Into assets/measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    shape = Shape.of_config(parse_config(json.loads((options.model / "config.json").read_text("utf-8"))), 2)
    source = options.results / "reading.jsonl"
    kept = full_attention(read_lines(source), source, shape)
    write(MEASURED, kept)
    linear, quadratic = fit_points(kept["points"])
    print(f"{len(kept['points'])} points, fitted_seconds = {linear:.4g} T + {quadratic:.4g} T^2")
    curve = threshold_curve(read_lines(options.results / "threshold.jsonl"))
    write(MEASURED.with_name("threshold.json"), curve)
    print(f"threshold: {len(curve['points'])} values of k, F1 on {curve['answerable']} questions")


if __name__ == "__main__":
    main()
