"""Plots come from result lines alone: the newest of each length, fitted ones apart."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def plots() -> ModuleType:
    """tests/bench/plots.py, which is no package."""
    spec = importlib.util.spec_from_file_location("bench_plots", ROOT / "tests" / "bench" / "plots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _line(length: int, date: str, quick: bool = False, **values: float) -> dict:
    return {"date": date, "settings": {"length": length, "quick": quick}, **values}


def test_the_newest_result_of_a_length_wins_and_quick_runs_do_not_count(plots: ModuleType) -> None:
    lines = [
        _line(512, "2026-01-02", tokens_per_s=5.0),
        _line(512, "2026-01-01", tokens_per_s=9.0),
        _line(64, "2026-01-03", tokens_per_s=1.0, quick=True),
        _line(128, "2026-01-03", other=1.0),
    ]
    assert plots.points(lines, "tokens_per_s") == [(512, 5.0)]


def test_plots_are_written_for_what_was_measured(plots: ModuleType, tmp_path: Path) -> None:
    results = [_line(n, "2026-01-01", ttft_s=n / 1000, full_attention_ttft_s=n / 300) for n in (512, 1024)]
    results.append(_line(1 << 20, "2026-01-01", fitted_ttft_s=1000.0, fitted_full_attention_ttft_s=9000.0))
    (tmp_path / "ttft.jsonl").write_text("\n".join(map(json.dumps, results)), "utf-8")
    (written,) = plots.write(tmp_path, tmp_path / "out")
    text = written.read_text("utf-8")
    assert written.name == "ttft.svg"
    assert "<svg" in text
    again = plots.write(tmp_path, tmp_path / "again")[0].read_text("utf-8")
    assert again == text


def test_committed_results_can_be_plotted(plots: ModuleType, tmp_path: Path) -> None:
    assert any(path.name == "reading.svg" for path in plots.write(ROOT / "tests/bench/results", tmp_path))


def test_the_fastest_format_of_llama_cpp_and_the_longest_worker_run_are_drawn(
    plots: ModuleType, tmp_path: Path
) -> None:
    formats = [
        ("reading", 512, 90.0),
        ("reading", 512, 120.0),
        ("reading", 2048, 80.0),
        ("writing", None, 999.0),
    ]
    lines = [{"settings": {"what": w, "length": n}, "peer_tokens_per_s": s} for w, n, s in formats]
    (tmp_path / "llama_cpp.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    assert plots._llama(tmp_path) == [(512, 120.0), (2048, 80.0)]
    along = [_line(16_384, "2026-01-01", tokens_per_s_since_last=5.0)]
    assert plots._long(tmp_path, along) == [(16_384, 5.0)]
    runs = [{"tokens": n, "date": "d", "stretches": [{"tokens": n, "tokens_per_s": 7.0}]} for n in (99, 70)]
    (tmp_path / "worker.jsonl").write_text("\n".join(map(json.dumps, [*runs, {"tokens": 500}])), "utf-8")
    assert plots._long(tmp_path, along) == [(99, 7.0)]
