"""Many questions into a file that is continued, never spoiled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_home import QUESTION, archive, home

from app import cli

__all__ = ["archive", "home"]  # fixtures


def test_a_batch_is_answered_line_by_line_and_continued(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    lines = [{"id": 1, "question": QUESTION}, {"id": "b", "question": ""}, {"id": "c", "question": "Cold?"}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    words = ["ask", archive, "--batch", str(source), "--out", str(out)]
    assert cli.main(words) == 1
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [answer["id"] for answer in answers] == [1, "b"]
    assert answers[0]["question"] == QUESTION
    assert answers[0]["context"]["documents"] == 2
    assert answers[1]["error"]["code"] == "empty_question"
    with out.open("a") as file:
        file.write('{"id": "c", "ans')  # a crash in the middle of a line
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cli.main(words) == 0
    again = [json.loads(line) for line in out.read_text().splitlines()]
    assert again[:2] == answers
    assert [answer["id"] for answer in again] == [1, "b", "c"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json\n", "Line 1 is not JSON"),
        ('{"id": 1}\n', "Line 1 has no question"),
        ('{"question": "x"}\n', "Line 1 has no id"),
        ('{"id": 1, "question": "x"}\n\n{"id": 1, "question": "y"}\n', "Line 3: the id 1 occurs twice"),
    ],
)
def test_a_bad_batch_is_refused_before_anything_is_asked(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text(text)
    assert cli.main(["ask", archive, "--batch", str(source), "--out", str(tmp_path / "a.jsonl")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "a.jsonl").exists()


def test_a_file_of_something_else_is_not_taken_for_answers(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "questions.jsonl", tmp_path / "letter.txt"
    source.write_text(json.dumps({"id": 1, "question": QUESTION}) + "\n")
    out.write_text("Dear reader,\nkeep me.\n")
    assert cli.main(["ask", archive, "--batch", str(source), "--out", str(out)]) == 2
    assert out.read_text() == "Dear reader,\nkeep me.\n"
    assert "other than answers" in capsys.readouterr().err
