"""`python -m app bench`: every bench runs in small on the tiny model and says what it measured on what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_home import home

from app import cli
from app.bench.kernels import break_even
from app.bench.plan import Plan
from app.bench.ttft import fit_quadratic, measure
from app.services import Services
from app.settings import Options

__all__ = ["home"]  # fixture


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("bench", "figure"),
    [
        ("reading", "tokens_per_s"),
        ("reading", "share_kept"),
        ("ttft", "fitted_full_attention_ttft_s"),
        ("ttft", "full_attention_ttft_s"),
        ("decode", "floor_tokens_per_s"),
        ("recall", "search_ms"),
        ("kernels", "us_per_token"),
        ("ingest", "pages_per_s"),
    ],
)
def test_a_bench_appends_lines_with_machine_versions_and_figures(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], bench: str, figure: str
) -> None:
    out = tmp_path / "results" / "found.jsonl"
    assert cli.main(["bench", bench, "--quick", "--runs", "1", "--out", str(out), "--json"]) == 0
    lines = _lines(out)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == lines
    assert all(line["bench"] == bench and line["settings"]["quick"] for line in lines)
    assert all(line["machine"]["cores"] and line["versions"]["torch"] for line in lines)
    assert all(line[figure] > 0 for line in lines if figure in line)
    assert any(figure in line for line in lines)


def test_without_a_file_results_go_to_the_home_folder_and_are_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "recall", "--quick"]) == 0
    assert cli.main(["bench", "recall", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "search_ms" in shown
    assert "FIGURE" in shown
    assert len(_lines(home / "bench" / "recall.jsonl")) == 4


def test_a_long_reading_gives_speed_and_memory_along_the_way(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.jsonl"
    words = ["bench", "reading", "--quick", "--runs", "1", "--tokens", "17000", "--out", str(out)]
    assert cli.main(words) == 0
    along = [line for line in _lines(out) if "rss_bytes" in line]
    assert [line["settings"]["length"] for line in along] == [16_384, 17_000]
    assert along[-1]["tokens"] == 17_000


@pytest.mark.parametrize(
    "words",
    [["bench"], ["bench", "dancing"], ["bench", "recall", "--runs", "0"], ["bench", "ttft", "--tokens", "x"]],
)
def test_mistakes_are_told_in_one_line(
    home: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_quadratic_is_fitted_and_its_error_stated() -> None:
    lengths = [1000, 2000, 4000]
    exact = [2e-3 * n + 5e-7 * n**2 for n in lengths]
    a, b, error = fit_quadratic(lengths, exact)
    assert (a, b) == (pytest.approx(2e-3), pytest.approx(5e-7))
    assert error < 1e-9
    assert fit_quadratic(lengths, [exact[0], exact[1] * 1.2, exact[2]])[2] > 0.05
    assert min(fit_quadratic(lengths, [5.0, 6.0, 7.0])[:2]) >= 0


def test_skipping_breaks_even_between_the_last_loss_and_the_next_gain() -> None:
    assert break_even({0.0: 0.8, 0.2: 0.9, 0.4: 1.1, 0.6: 1.5}) == pytest.approx(0.3)
    assert break_even({0.0: 1.1, 0.2: 0.9, 0.4: 1.1}) == pytest.approx(0.3), (
        "a gain below a loss does not count"
    )
    assert break_even({0.0: 1.2, 0.5: 1.4}) == 0.0
    assert break_even({0.0: 0.5, 0.5: 0.9}) is None


def test_first_tokens_beyond_what_is_measured_say_where_they_come_from(home: Path) -> None:
    plan = Plan(Services(Options(home=home)), quick=True, runs=1)
    rows = {row.settings["length"]: row for row in measure(plan, {4096: 0.01})}
    assert rows[2048].settings["ours"] == "measured"
    assert rows[2048].values["ttft_s"] > 0
    assert rows[4096].settings["ours"] == "worker run"
    assert rows[4096].values["worker_ttft_s"] == 0.01
    assert rows[4096].values["fitted_ratio"] > 0
    assert all("fit_error" in rows[n].values for n in (2048, 4096))
    (*_, before, last) = measure(plan)
    assert last.values["fitted_ttft_s"] == pytest.approx(2 * before.values["ttft_s"], abs=0.02)
