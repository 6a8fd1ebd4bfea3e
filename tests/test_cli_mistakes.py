"""What goes wrong on the command line is told in one line, with a code, a hint and the right exit code."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from app_home import write_files
from cli_home import FILES, QUESTION, archive, home

from app import cli
from storage import Database

__all__ = ["archive", "home"]  # fixtures


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ask", "Paperz", "Why?"], "Did you mean 'Papers'?"),
        (["ask", "Papers", ""], "question is empty"),
        (["ask", "Papers", "x" * 50_000], "50,000 characters; at most 20,000"),
        (["ask", "Papers"], "no question"),
        (["ask", "Papers", "Why?", "--document", "leese.txt"], "Did you mean 'lease.txt'"),
        (["ask", "Papers", "Why?", "--batch", "x"], "not both"),
        (["ask", "Papers", "--batch", "x"], "--batch and --out go together"),
        (["ask", "Papers", "--batch", "nowhere.jsonl", "--out", "y"], "nowhere.jsonl"),
        (["ingest", "Papers", "/no/such/file"], "no file or folder /no/such/file"),
        (["export", "Papers", "--out", "x.exe"], ".exe"),
        (["export", "Papers", "--out", "/no/such/folder/x.md"], "folder"),
        (["archives", "create", "papers"], "exists already"),
        (["archives", "create", ""], "1 to 200 characters"),
        (["nonsense"], "nonsense"),
        (["ask", "Papers", "Why?", "--nonsense"], "--nonsense"),
        ([], "COMMAND"),
        (["serve", "--port", "99999"], "port"),
        (["serve", "--address", "0.0.0.0"], "password"),
        (["archives", "--database", "mysql://x"], "mysql"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    archive: str, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert cli.main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert says in told.err
    assert cli.main([*words, "--json"]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    error = json.loads(told.out)["error"]
    assert list(error) == ["code", "message", "hint"]
    assert error["code"]
    assert says in f"{error['message']} {error['hint']}"


def test_a_failure_of_ours_is_told_with_exit_code_1(
    archive: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("a gear came loose")

    monkeypatch.setattr("app.commands.archives._list", broken)
    assert cli.main(["archives"]) == 1
    told = capsys.readouterr().err
    assert "a gear came loose" in told
    assert told.count("\n") == 1
    assert "RuntimeError" in (home / "logs" / "errors.log").read_text()


def test_a_locked_database_is_told_in_words(
    archive: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    before = Database.__init__

    def impatient(self: Database, url: str, **more: Any) -> None:
        before(self, url, busy_timeout_ms=50)

    monkeypatch.setattr(Database, "__init__", impatient)
    holder = sqlite3.connect(home / "engram.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert cli.main(["ask", archive, QUESTION]) == 1
    finally:
        holder.close()
    told = capsys.readouterr().err
    assert "in use by another program" in told
    assert told.count("\n") == 1


def test_an_unknown_model_names_the_known_ones(
    archive: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert cli.main(["ask", archive, QUESTION, "--model", "nosuch", "--home", str(home)]) == 2
    told = capsys.readouterr().err
    assert "no model 'nosuch'" in told
    assert "default" in told


def test_a_missing_default_model_says_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_files(tmp_path / "in", FILES)
    assert cli.main(["ingest", "Papers", str(folder), "--home", str(tmp_path / "bare")]) == 2
    assert "python3 start.py setup" in capsys.readouterr().err
