"""Plots for the README from committed results: speed against length, and first token against length.

python tests/bench/plots.py [--results tests/bench/results] [--out assets/plots]

Newest result of each setting wins. Measured points are dots and whole lines, fitted ones broken lines.
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
OURS, PEER, OTHER = "#0b7285", "#c2410c", "#6b7280"
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


def draw(axes: Axes, found: list[Point], label: str, color: str, fitted: bool = False) -> None:
    """One series; nothing for none."""
    if found:
        style = {"linestyle": "--", "marker": None} if fitted else {"linestyle": "-", "marker": "o"}
        axes.plot(*zip(*found, strict=True), label=label, color=color, markersize=4, **style)


def speed(results: Path) -> plt.Figure:
    """Reading speed against length: ours, transformers and llama.cpp where measured."""
    lines = load(results / "reading.jsonl")
    alone = [line for line in lines if "busy_neighbours" not in line["settings"]]
    figure, axes = _axes("Reading speed", "tokens per second")
    draw(axes, points(alone, "tokens_per_s"), "Engram, whole readings", OURS)
    draw(axes, points(alone, "tokens_per_s_since_last"), "Engram, within one long reading", "#66a6b3")
    draw(axes, points(alone, "peer_tokens_per_s"), "transformers, bfloat16", PEER)
    draw(axes, points(load(results / "llama_cpp.jsonl"), "tokens_per_s"), "llama.cpp", OTHER)
    return _finish(figure, axes)


def first_token(results: Path) -> plt.Figure:
    """Time to the first token against length, ours and the same model with full attention."""
    lines = load(results / "ttft.jsonl")
    figure, axes = _axes("Time to the first token", "seconds")
    axes.set_yscale("log")
    draw(axes, points(lines, "ttft_s"), "Engram, measured", OURS)
    draw(axes, points(lines, "fitted_ttft_s"), "Engram, from its measured speed", OURS, fitted=True)
    draw(axes, points(lines, "full_attention_ttft_s"), "full attention, measured", PEER)
    fitted = points(lines, "fitted_full_attention_ttft_s")
    draw(axes, fitted, "full attention, fitted quadratic", PEER, fitted=True)
    return _finish(figure, axes)


def _axes(title: str, unit: str) -> tuple[plt.Figure, Axes]:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.set_title(title, loc="left")
    axes.set_xlabel("tokens read")
    axes.set_ylabel(unit)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finish(figure: plt.Figure, axes: Axes) -> plt.Figure:
    if axes.get_lines():
        axes.legend(frameon=False)
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
            figure.savefig(path, metadata={"Date": None})
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
