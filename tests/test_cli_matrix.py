"""`matrix`: fills a table from the command line and writes it; run again it goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from cli_home import archive, home, output

from app import cells, cli

__all__ = ["archive", "home"]  # fixtures


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.txt"
    path.write_text("Notice | What is the notice period?\nWhat was cold?\n")
    return path


def test_the_table_is_written_and_continued_without_asking_again(
    archive: str, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = ["matrix", archive, "--questions", str(questions), "--out"]
    assert cli.main([*words, str(tmp_path / "t.csv"), "--json"]) == 0
    assert output(capsys)["cells"] == 4
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["Document", "Notice"]
    assert {row[0] for row in rows[1:3]} == {"lease.txt", "lab.txt"}
    monkeypatch.setattr(cells.CellReader, "answer", lambda *given: pytest.fail("asked twice"))
    assert cli.main([*words, str(tmp_path / "t.json")]) == 0
    content = json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert [question["label"] for question in content["questions"]] == ["Notice", "What was cold?"]
    assert "2 documents x 2 questions, 4 cells" in capsys.readouterr().out


def test_a_template_and_chosen_documents(archive: str, tmp_path: Path) -> None:
    words = ["matrix", archive, "--template", "contracts", "--document", "lease.txt", "--out"]
    assert cli.main([*words, str(tmp_path / "t.xlsx")]) == 0
    assert (tmp_path / "t.xlsx").read_bytes().startswith(b"PK")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "t.csv"], "Give --questions FILE, --template FIELD, or both."),
        (["--template", "poetry", "--out", "t.csv"], "There is no template 'poetry'"),
        (["--template", "contracts", "--out", "t.pdf"], "Cannot export to .pdf files"),
        (["--template", "contracts", "--document", "nowhere", "--out", "t.csv"], "No document 'nowhere'"),
        (["--questions", "missing.txt", "--out", "t.csv"], "missing.txt"),
    ],
)
def test_mistakes_are_told_before_any_work(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["matrix", archive, *words]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "t.csv").exists()


def test_an_archive_without_documents_is_told(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["archives", "create", "Bare"]) == 0
    assert cli.main(["matrix", "Bare", "--template", "contracts", "--out", str(tmp_path / "t.csv")]) == 2
    assert "holds no documents" in capsys.readouterr().err
