"""`models` and the parts of `archives` that keep: what they print, refuse and change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from app_home import tiny_model
from cli_home import FILES, QUESTION, archive, home, output
from golden import DATA

from app import cli
from storage import Home

__all__ = ["archive", "home"]  # fixtures


def test_a_model_is_added_checked_made_default_and_removed(
    archive: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_model(), tmp_path / "mine")
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | {"spike_k": 2.0}))
    assert cli.main(["models", "add", str(folder), "--name", "mine"]) == 0
    assert "It can be used." in capsys.readouterr().out
    assert cli.main(["models", "check", "mine", "--archive", archive, "--json"]) == 0
    checked = output(capsys)
    assert (checked["usable"], checked["fits"], checked["problems"]) == (True, True, [])
    assert checked["tokens"] > 0
    assert cli.main(["models", "default", "mine", "--json"]) == 0
    (stale,) = output(capsys)["to_read"]
    assert (stale["name"], stale["documents"]) == (archive, 2)
    assert cli.main(["models", "--json"]) == 0
    assert {row["name"]: row["default"] for row in output(capsys)} == {"default": False, "mine": True}
    assert cli.main(["models", "remove", "mine"]) == 2
    assert cli.main(["models", "remove", "mine", "--yes"]) == 0
    assert "Forgot mine." in capsys.readouterr().out
    assert cli.main(["models", "--json"]) == 0
    assert [row["chosen"] for row in output(capsys)[-1:]] == [True]
    assert folder.is_dir()


def test_a_model_that_cannot_be_used_says_why(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "add", str(DATA / "gla_swa_tiny"), "--name", "bare"]) == 1
    assert "Problem: there is no tokenizer" in capsys.readouterr().out
    assert cli.main(["models", "default", "bare"]) == 2
    assert "bare cannot be used: there is no tokenizer" in capsys.readouterr().err
    assert cli.main(["models", "add", "no such model"]) == 2
    assert cli.main(["models", "remove", "default", "--yes"]) == 2
    assert cli.main(["models", "check", "nothing"]) == 2


def test_a_context_that_cannot_fit_is_told_with_numbers(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.installing.memory_there", lambda: 1_000_000)
    assert cli.main(["models", "check", "--tokens", "1000000"]) == 1
    said = capsys.readouterr().out
    assert "Reading 1,000,000 tokens takes" in said
    assert "It does not fit into memory now." in said
    assert cli.main(["models", "default", "default"]) == 2
    assert "0.00 GB are free" in capsys.readouterr().err


def test_reading_what_cannot_fit_is_refused_with_numbers(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import memory_plan

    monkeypatch.setattr("app.fitting.memory_there", lambda: 10**10)
    monkeypatch.setattr(memory_plan, "_growth", lambda *given: 10**9)
    (tmp_path / "more.txt").write_text("More text to read.\n")
    assert cli.main(["ingest", archive, str(tmp_path / "more.txt")]) == 2
    assert "GB for each million tokens" in capsys.readouterr().err


def test_ingest_tells_the_memory_before_it_reads(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more.txt").write_text("More text to read.\n")
    assert cli.main(["ingest", archive, str(tmp_path / "more.txt")]) == 0
    said = capsys.readouterr().out
    assert "GB of memory, at any length; " in said
    assert said.index("tokens takes") < said.index("documents read")
    assert cli.main(["ingest", archive, "--json"]) == 0
    told = output(capsys)["memory"]
    assert 0 < told["memory_needed_bytes"] < told["memory_free_bytes"]
    assert told["disk_needed_bytes"] == 0


def test_a_context_that_the_disk_cannot_hold_is_refused_with_numbers(
    archive: str,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from engine import memory_plan

    monkeypatch.setattr("app.fitting.memory_there", lambda: 10**15)
    monkeypatch.setattr(memory_plan, "_growth", lambda *given: 10**10)
    (tmp_path / "more.txt").write_text("More text to read.\n")
    assert cli.main(["ingest", archive, str(tmp_path / "more.txt")]) == 2
    told = capsys.readouterr()
    assert "On disk it takes" in told.out
    assert "on the disk of the home folder" in told.err
    monkeypatch.setattr("app.installing.memory_there", lambda: 10**18)
    assert cli.main(["models", "check", "--tokens", "1000000"]) == 1
    assert "It does not fit on the disk now." in capsys.readouterr().out


def test_an_archive_goes_to_a_file_and_comes_back(
    archive: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "papers.zip"
    assert cli.main(["archives", "describe", archive, "Two papers."]) == 0
    assert cli.main(["archives", "tag", archive, "law", "--document", "lease.txt"]) == 0
    assert cli.main(["archives", "backup", archive, "--out", str(out)]) == 0
    assert cli.main(["archives", "backup", archive, "--out", str(out)]) == 2
    assert cli.main(["archives", "delete", archive, "--yes"]) == 0
    capsys.readouterr()
    assert cli.main(["archives", "restore", str(out), "--name", "Again", "--json"]) == 0
    assert output(capsys)["archive"] == "Again"
    assert cli.main(["archives", "undelete", archive]) == 0
    assert cli.main(["archives", "undelete", archive]) == 2
    capsys.readouterr()
    assert cli.main(["ask", "Again", QUESTION, "--json"]) == 0
    assert output(capsys)["context"]["documents"] == 2
    assert cli.main(["archives", "restore", str(tmp_path / "none.zip")]) == 2


def test_documents_are_moved_replaced_compared_and_read_again(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["archives", "move", archive, "lab.txt", "--to", "1", "--json"]) == 0
    assert output(capsys)["read_again_from"] in (1, 3)
    (tmp_path / "new.txt").write_text(FILES["lab.txt"] + "It was 4 K.\n")
    assert cli.main(["archives", "replace", archive, "lab.txt", str(tmp_path / "new.txt")]) == 0
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 broken")
    assert cli.main(["archives", "replace", archive, "lab.txt", str(tmp_path / "bad.pdf")]) == 2
    assert "The old version stays" in capsys.readouterr().err
    assert cli.main(["archives", "duplicates", archive]) == 0
    assert cli.main(["archives", "disk", archive, "--json"]) == 0
    capsys.readouterr()
    assert cli.main(["archives", "read-again", archive, "--parse", "--json"]) == 0
    assert output(capsys)["resumed_at"] == 0
    assert Home.default().path.is_dir()
