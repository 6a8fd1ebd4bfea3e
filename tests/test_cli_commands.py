"""The command line, in this process: every command does what its help says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from app_home import write_files
from cli_home import FILES, QUESTION, archive, home, output

from app import cli

__all__ = ["archive", "home"]  # fixtures


def test_ingest_creates_the_archive_and_reports_json(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_files(tmp_path / "in", {**FILES, "copy.txt": FILES["lab.txt"]})
    assert cli.main(["ingest", "New", str(folder), "--json"]) == 0
    result = output(capsys)
    assert (result["archive"], result["documents"], result["read"], result["added"]) == ("New", 2, 2, 2)
    assert result["duplicates"] == [{"name": "in/lab.txt", "same_as": "in/copy.txt"}]
    assert result["tokens_read"] == result["tokens_total"] > 0


def test_ingest_without_paths_goes_on(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ingest", archive, "--json"]) == 0
    assert output(capsys)["reading"]["read_now"] == 0
    assert cli.main(["ingest", "Nowhere"]) == 2


def test_asking_in_words_shows_answer_sources_and_coverage(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ask", archive, QUESTION]) == 0
    text = capsys.readouterr().out
    assert "Read: " in text
    assert "of 2 documents" in text


def test_asking_of_one_document(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--json", "ask", archive, QUESTION, "--document", "lab.txt"]) == 0
    assert {cited["document"] for cited in output(capsys)["citations"]} <= {"lab.txt"}


@pytest.mark.parametrize("before", [True, False])
def test_global_options_stand_before_or_after_the_command(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], before: bool
) -> None:
    options = ["--home", str(tmp_path / "other"), "--json"]
    words = [*options, "archives", "create", "There"] if before else ["archives", "create", "There", *options]
    assert cli.main(words) == 0
    assert output(capsys)["name"] == "There"
    assert (tmp_path / "other" / "engram.db").exists()


def test_another_database_can_be_named(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    assert cli.main(["archives", "create", "There", "--database", url]) == 0
    assert cli.main(["archives", "--json", "--database", url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [row["name"] for row in json.loads(lines[-1])] == ["There"]
    assert not (home / "engram.db").exists()


def test_archives_are_listed_renamed_shown_and_deleted(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["archives", "--json"]) == 0
    (row,) = output(capsys)
    assert (row["name"], row["documents"], row["read"]) == ("Papers", 2, 2)
    assert cli.main(["archives", "rename", "Papers", "Books"]) == 0
    assert cli.main(["archives", "status", "Books"]) == 0
    assert "lease.txt" in capsys.readouterr().out
    assert cli.main(["archives", "status", "Books", "--json"]) == 0
    assert {item["status"] for item in output(capsys)["list"]} == {"ready"}
    assert cli.main(["archives", "delete", "Books"]) == 2
    assert cli.main(["archives", "delete", "Books", "--yes"]) == 0
    capsys.readouterr()
    assert cli.main(["archives", "list", "--json"]) == 0
    assert output(capsys) == []


def test_deleting_for_good_removes_originals_and_states_at_once(archive: str, home: Path) -> None:
    assert cli.main(["archives", "delete", archive, "--yes"]) == 0
    assert list(home.glob("states/*/*.state"))
    assert cli.main(["archives", "undelete", archive]) == 0
    assert cli.main(["archives", "delete", archive, "--yes", "--for-good"]) == 0
    assert not list(home.glob("states/*/*"))
    assert not list(home.glob("files/??/*"))


@pytest.mark.parametrize("suffix", ["md", "json", "docx"])
def test_findings_are_exported(archive: str, tmp_path: Path, suffix: str) -> None:
    assert cli.main(["ask", archive, QUESTION]) == 0
    out = tmp_path / f"findings.{suffix}"
    assert cli.main(["export", archive, "--out", str(out)]) == 0
    assert out.stat().st_size > 100
    if suffix != "docx":
        assert QUESTION in out.read_text("utf-8")


def test_chosen_findings_only(archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert cli.main(["ask", archive, QUESTION]) == 0
    capsys.readouterr()
    out = str(tmp_path / "one.json")
    assert cli.main(["export", archive, "--out", out, "--finding", "2", "--json"]) == 0
    assert output(capsys)["findings"] == 1
    assert cli.main(["export", archive, "--out", out, "--finding", "99"]) == 2


def test_models_and_devices_are_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--json"]) == 0
    (model,) = output(capsys)
    assert (model["name"], model["installed"], model["chosen"]) == ("default", True, True)
    assert "engram" in model["note"]
    assert cli.main(["devices", "--json"]) == 0
    found = output(capsys)
    assert "cpu" in [device["name"] for device in found]
    assert sum(device["chosen"] for device in found) == 1
    assert cli.main(["devices"]) == 0
    assert "cpu" in capsys.readouterr().out
