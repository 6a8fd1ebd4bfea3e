"""`find`, `compare`, `summary` and follow-ups on the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_home import FILES, QUESTION, archive, home, output

from app import cli

__all__ = ["archive", "home"]  # fixtures


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert cli.main([*words, "--json"]) == 0
    return output(capsys)


def test_find_lists_every_passage_with_what_it_qualified_by(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(capsys, "find", archive, "notice period")
    assert (found["page"], found["pages"]) == (1, 1)
    first = found["passages"][0]
    assert (first["document"], first["words"]) == ("lease.txt", 2)
    assert first["verified"]
    assert FILES["lease.txt"][first["start"] : first["end"]] == first["quote"]
    assert {"document": "lease.txt", "passages": 1} in found["by_document"]
    assert cli.main(["find", archive, "notice period"]) == 0
    said = capsys.readouterr().out
    assert "[1] lease.txt, page 1 (2 of 2 words" in said


def test_what_was_found_is_opened_again_without_a_new_search(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(capsys, "find", archive, "notice period")
    number = str(first["asked"]["finding"])
    held = run(capsys, "find", archive, "--finding", number, "--order", "document")
    assert held["asked"]["finding"] == first["asked"]["finding"]
    assert sorted(p["number"] for p in held["passages"]) == [p["number"] for p in first["passages"]]


def test_compare_sets_two_documents_side_by_side(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    both = ("--document", "lease.txt", "--document", "lab.txt")
    answer = run(capsys, "compare", archive, QUESTION, *both)
    assert {side["document"] for side in answer["sides"]} == set(FILES)
    assert answer["asked"]["kind"] == "comparison"


def test_summary_prints_sentences_with_their_sources(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["summary", archive]) == 0
    said = capsys.readouterr().out
    assert "nothing reworded" in said
    assert '[1] lab.txt, page 1: "' in said or '[1] lease.txt, page 1: "' in said


def test_a_follow_up_says_how_it_was_understood(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(capsys, "ask", archive, QUESTION)
    number = str(first["asked"]["finding"])
    assert cli.main(["ask", archive, "--follow", number, "and its term?"]) == 0
    assert "Understood as: What is the term of the lease?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ask", "Papers", "Why?", "--follow", "99"], "no finding 99"),
        (["ask", "Papers", "Why?", "--tag", "law"], "no document has the tag 'law'"),
        (["ask", "Papers", "Why?", "--field", "law"], "no document has the field 'law'"),
        (["ask", "Papers", "Why?", "What?"], "unrecognized arguments: What?"),
        (["find", "Papers"], "Give words"),
        (["find", "Papers", "   "], "question is empty"),
        (["find", "Papers", "lease", "--page", "7"], "There is no page 7"),
        (["find", "Papers", "--finding", "99"], "no finding 99"),
        (["compare", "Papers", "Why?"], "takes two documents, not 0"),
        (["summary", "Papers", "--document", "leese.txt"], "Did you mean 'lease.txt'"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_exit_code_2(
    archive: str, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert cli.main([*words, "--json"]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    error = json.loads(told.out)["error"]
    assert says.casefold() in f"{error['message']} {error['hint']}".casefold()
