"""Two documents compared: each side quotes its own, nothing is claimed without a checked quote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from app_home import copy_read
from asking_home import services

from app.asking import ask
from app.errors import UserError
from app.questions import submit
from app.request import COMPARISON, Request
from app.services import Services
from app.worker import Worker
from engine import answering
from storage import Archive, archives, documents, findings

__all__ = ["services"]  # a fixture

QUESTION = "What is the notice period of the lease?"
SHARED = "The notice period of the lease is {} months to the end of the quarter."
FILES = {
    "north.txt": f"{SHARED.format('six')}\n\nThe notice of the lease must be sent by registered letter.\n",
    "south.txt": f"{SHARED.format('three')}\n\nThe walls were painted green in March.\n",
    "other.txt": "The cat sat on the mat and looked at the rain.\n",
}


@pytest.fixture
def archive(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Read by the tiny model, which cannot weigh words: shared words decide."""
    copy_read(tmp_path, FILES)
    monkeypatch.setattr(answering, "found_probability", lambda *_: 0.9)
    monkeypatch.setattr(
        answering, "sentence_fits", lambda _engine, sentences, _question: [0.0] * len(sentences)
    )
    with services.database.session() as s:
        return archives.get_archive(s, "Archive")


def compare(services: Services, archive: Archive, *names: str) -> dict[str, Any]:
    return ask(services, archive, Request(QUESTION, COMPARISON, documents=names))


def quotes(answer: dict[str, Any], numbers: list[int]) -> list[tuple[str, str]]:
    by_number = {item["number"]: item for item in answer["citations"]}
    return [(by_number[number]["document"], by_number[number]["quote"]) for number in numbers]


def test_each_side_is_answered_from_its_own_document(services: Services, archive: Archive) -> None:
    answer = compare(services, archive, "north.txt", "south.txt")
    assert [side["document"] for side in answer["sides"]] == ["north.txt", "south.txt"]
    for side, months in zip(answer["sides"], ("six", "three"), strict=True):
        assert quotes(answer, side["citations"]) == [(side["document"], SHARED.format(months))]
        assert f"[{side['citations'][0]}]" in side["answer"]
    assert answer["status"] == "supported"


def test_the_sides_stand_in_the_order_in_which_they_were_named(services: Services, archive: Archive) -> None:
    answer = compare(services, archive, "south.txt", "north.txt")
    assert [side["document"] for side in answer["sides"]] == ["south.txt", "north.txt"]


def test_a_document_without_text_cannot_be_compared(services: Services, archive: Archive) -> None:
    asked = submit(services, archive, Request(QUESTION, COMPARISON, documents=("north.txt", "other.txt")))
    with services.database.session() as s:
        (row,) = [row for row in documents.list_documents(s, archive.id) if row.name == "other.txt"]
        documents.fail_document(s, row.id, "needs_ocr", "All pages are images.")
    Worker(services).run_until_idle()
    with services.database.session() as s:
        ended = findings.get_finding(s, asked.finding.id)
    assert (ended.status, ended.error) == ("failed", "Both documents must have text to be compared.")


def test_sentences_said_by_both_are_paired_with_the_words_that_differ(
    services: Services, archive: Archive
) -> None:
    answer = compare(services, archive, "north.txt", "south.txt")
    (pair,) = answer["pairs"]
    assert (pair["left_words"], pair["right_words"]) == (["six"], ["three"])
    assert [name for name, _ in quotes(answer, [pair["left"], pair["right"]])] == ["north.txt", "south.txt"]


def test_what_one_document_says_alone_is_quoted_under_its_name(services: Services, archive: Archive) -> None:
    answer = compare(services, archive, "north.txt", "south.txt")
    north, south = answer["only"]
    said = "The notice of the lease must be sent by registered letter."
    assert quotes(answer, north["citations"]) == [("north.txt", said)]
    assert south["citations"] == []
    assert f"Only in north.txt: “{said}”" in answer["answer"]


def test_every_quote_of_a_comparison_stands_in_the_stored_text(services: Services, archive: Archive) -> None:
    answer = compare(services, archive, "north.txt", "south.txt")
    with services.database.session() as s:
        names = {row.name: row.id for row in documents.list_documents(s, archive.id)}
        for cited in answer["citations"]:
            place = (names[cited["document"]], cited["start"], cited["end"])
            assert documents.document_text(s, *place) == cited["quote"]
    numbers = [item["number"] for item in answer["citations"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_document_that_does_not_say_is_told_so(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "found_probability", lambda gain, odds, shared, named: float(shared > 0.5))
    answer = compare(services, archive, "north.txt", "other.txt")
    assert [side["status"] for side in answer["sides"]] == ["supported", "not_found"]
    assert "does not say" in answer["sides"][1]["answer"]
    assert answer["status"] == "partly_supported"


@pytest.mark.parametrize("names", [(), ("north.txt",), ("north.txt", "south.txt", "other.txt")])
def test_a_comparison_takes_exactly_two_documents(
    services: Services, archive: Archive, names: tuple[str, ...]
) -> None:
    with pytest.raises(UserError, match=f"two documents, not {len(names)}"):
        submit(services, archive, Request(QUESTION, COMPARISON, documents=names))
