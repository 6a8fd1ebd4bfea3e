"""pip as start.py shows it: percentages on the screen, everything in the log, a remedy for each failure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bootstrap.console import StartError
from bootstrap.installer import PipView, explain, run_pip


def test_a_failing_pip_is_explained_from_this_runs_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ERROR: of another day\n")
    with pytest.raises(StartError, match="It failed") as caught:
        run_pip(Path(sys.executable), ["no-such-command"], log, "It failed")
    assert "no-such-command" in caught.value.hint
    assert "another day" not in caught.value.hint


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "free"),
        ("WARNING: Retrying (Retry(total=0)) after NewConnectionError(...)", "network"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no build"),
        ("ERROR: Something else", "Something else"),
    ],
)
def test_installation_failures_say_what_to_do(tmp_path: Path, output: str, remedy: str) -> None:
    assert remedy in explain(output, tmp_path / "log")


def test_pip_is_shown_as_percentages_of_large_downloads_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    view = PipView(tmp_path / "log")
    for line in (
        "Collecting torch==2.13.0",
        "  Downloading torch-2.13.0-cp311.whl (190.0 MB)",
        "Progress 0 of 190000000",
        "Progress 100000000 of 190000000",
        "Progress 190000000 of 190000000",
        "Downloading six-1.0-py3.whl (10 kB)",
        "Progress 10000 of 10000",
        "Installing collected packages: six, torch",
    ):
        view.line(line)
    view.close()
    shown = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in shown] == [
        "torch-2.13.0: 52 % of 190 MB",
        "torch-2.13.0: 100 % of 190 MB",
        "unpacking 2 packages",
    ]
    assert "Collecting torch" in (tmp_path / "log").read_text()
