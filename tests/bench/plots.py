"""Plots for the README from committed results: speed against length, and first token against length.

python tests/bench/plots.py [--results tests/bench/results] [--out assets/plots]

Newest result of each setting wins, of llama.cpp the fastest format. Measured points are dots and whole
lines, fitted ones broken lines.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[2]
OURS, LONG, PEER, OTHER = "#1098ad", "#66a80f", "#e8590c", "#ae3ec9"
INK = "#7a828a"  # readable on white and on black: the background is transparent
Point = tuple[float, float]


def load(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; none if there is no such file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def points(lines: list[dict[str, Any]], figure: str) -> list[Point]:
    """(length, figure) of the lines that have the figure, by length; the newest of each length."""
    found = {
        line["settings"]["length"]: line[figure]
        for line in sorted(lines, key=lambda line: line["date"])
        if line.get(figure) is not None and "length" in line["settings"] and not line["settings"].get("quick")
    }
    return sorted(found.items())


def draw(
    axes: Axes, found: list[Point], label: str, color: str, fitted: bool = False, dots: bool = True
) -> None:
    """One series; nothing for none."""
    if found:
        marker = "o" if dots and not fitted else None
        line = "--" if fitted else "-"
        axes.plot(*zip(*found, strict=True), line, marker=marker, label=label, color=color, markersize=4)


def speed(results: Path) -> plt.Figure:
    """Reading speed against length: ours, transformers and llama.cpp where measured."""
    lines = load(results / "reading.jsonl")
    alone = [line for line in lines if "busy_neighbours" not in line["settings"]]
    figure, axes = _axes("Reading speed", "tokens per second")
    draw(axes, points(alone, "tokens_per_s"), "Engram", OURS)
    draw(axes, _long(results, lines), "Engram, within one long reading", LONG, dots=False)
    draw(axes, points(alone, "peer_tokens_per_s"), "transformers, bfloat16", PEER)
    draw(axes, _llama(results), "llama.cpp, its fastest format", OTHER)
    return _finish(figure, axes)


def _long(results: Path, lines: list[dict[str, Any]]) -> list[Point]:
    """The longest reading of a worker, stretch by stretch; without one, that of the engine alone."""
    runs = [line for line in load(results / "worker.jsonl") if line.get("stretches")]
    if not runs:
        return points(lines, "tokens_per_s_since_last")
    longest = max(runs, key=lambda line: (line["tokens"], line["date"]))
    return [(row["tokens"], row["tokens_per_s"]) for row in longest["stretches"]]


def _llama(results: Path) -> list[Point]:
    found: dict[int, float] = {}
    for line in load(results / "llama_cpp.jsonl"):
        if line["settings"]["what"] == "reading":
            length = line["settings"]["length"]
            found[length] = max(found.get(length, 0.0), line["peer_tokens_per_s"])
    return sorted(found.items())


def first_token(results: Path) -> plt.Figure:
    """Time to the first token against length, ours and the same model with full attention."""
    lines = load(results / "ttft.jsonl")
    figure, axes = _axes("Time to the first token", "seconds")
    axes.set_yscale("log")
    mine = dict(points(lines, "worker_ttft_s")) | dict(points(lines, "ttft_s"))
    beyond = points(lines, "fitted_ttft_s")
    _measured_then_fitted(axes, sorted(mine.items()), beyond, "Engram", "from its measured speed", OURS)
    theirs, beyond = points(lines, "full_attention_ttft_s"), points(lines, "fitted_full_attention_ttft_s")
    _measured_then_fitted(axes, theirs, beyond, "full attention", "fitted quadratic", PEER)
    return _finish(figure, axes)


def _measured_then_fitted(
    axes: Axes, measured: list[Point], fitted: list[Point], who: str, how: str, color: str
) -> None:
    """A series, and from its end on what was not measured."""
    draw(axes, measured, f"{who}, measured", color)
    draw(axes, fitted and [*measured[-1:], *fitted], f"{who}, {how}", color, fitted=True)


def _axes(title: str, unit: str) -> tuple[plt.Figure, Axes]:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.set_title(title, loc="left", color=INK)
    axes.set_xlabel("tokens read", color=INK)
    axes.set_ylabel(unit, color=INK)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    axes.tick_params(which="both", colors=INK)
    axes.grid(alpha=0.25, color=INK)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finish(figure: plt.Figure, axes: Axes) -> plt.Figure:
    if axes.get_lines():
        axes.legend(frameon=False, labelcolor=INK)
        if axes.get_yscale() == "linear":
            axes.set_ylim(bottom=0)
    return figure


def _short(tokens: float) -> str:
    for size, letter in ((1 << 20, "M"), (1 << 10, "k")):
        if tokens >= size:
            return f"{tokens / size:g}{letter}"
    return f"{tokens:g}"


def write(results: Path, out: Path) -> list[Path]:
    """Write every plot that has results; the files."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot in (("reading", speed), ("ttft", first_token)):
        figure = plot(results)
        if figure.axes[0].get_lines():
            path = out / f"{name}.svg"
            # Without date and random ids, the same results give the same file.
            matplotlib.rcParams["svg.hashsalt"] = name
            figure.savefig(path, metadata={"Date": None}, transparent=True)
            written.append(path)
        plt.close(figure)
    return written


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "tests" / "bench" / "results")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "plots")
    options = parser.parse_args()
    written = write(options.results, options.out)
    print("\n".join(map(str, written)) or "no results to plot")
    sys.exit(0 if written else 1)


if __name__ == "__main__":
    main()
