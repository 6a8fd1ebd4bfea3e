"""Everything about X: every passage that qualifies is listed, nothing else, page by page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from app_home import copy_read, prose
from asking_home import check_quotes, services

from app.asking import ask
from app.everything import Nearness, describe_found, word_shares
from app.request import EVERYTHING, Request
from app.services import Services
from storage import Archive, archives, documents, findings, found, passages

__all__ = ["services"]  # a fixture

ZEBRA = "The zebra crossed the plain at noon and the herd followed."
FILES = {
    "one.txt": "\n\n".join(prose(number, 4) + ZEBRA for number in range(12)),
    "two.txt": prose(30, 10) + ZEBRA + " The quagga stood with the zebra.\n",
    "three.txt": prose(40, 6),
}


@pytest.fixture
def archive(services: Services, tmp_path: Path) -> Archive:
    copy_read(tmp_path, FILES)
    with services.database.session() as s:
        return archives.get_archive(s, "Archive")


def holding(services: Services, archive: Archive, word: str) -> set[int]:
    """Passages with the word, told without any index."""
    with services.database.session() as s:
        ids, _ = passages.passage_documents(s, archive.id)
        return {item.id for item in passages.get_passages(s, ids.tolist()) if word in item.text.casefold()}


def listed(services: Services, finding: int, **more: object) -> list[found.FoundText]:
    with services.database.session() as s:
        return found.list_found(s, finding, limit=10_000, **more)  # type: ignore[arg-type]


def test_every_passage_with_the_word_is_listed(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, Request("zebra", EVERYTHING))
    rows = listed(services, answer["asked"]["finding"])
    by_word = {row.passage.id for row in rows if row.words}
    assert by_word == holding(services, archive, "zebra")
    assert len(by_word) > 10
    assert answer["found"]["every_word"] == len(by_word)
    assert answer["found"]["passages"] == len(rows)
    assert all(row.distance is not None for row in rows if not row.words)


def test_pages_follow_one_another_without_gap_or_repeat(services: Services, archive: Archive) -> None:
    finding = ask(services, archive, Request("zebra", EVERYTHING))["asked"]["finding"]
    with services.database.session() as s:
        pages = [found.list_found(s, finding, start, 4) for start in range(0, 400, 4)]
        counts = found.count_found(s, finding)
    ranks = [row.rank for page in pages for row in page]
    assert ranks == list(range(1, len(ranks) + 1))
    assert sum(number for _, _, number in counts) == len(ranks)


def test_the_order_of_the_documents_and_one_document_alone(services: Services, archive: Archive) -> None:
    finding = ask(services, archive, Request("zebra", EVERYTHING))["asked"]["finding"]
    rows = listed(services, finding, order="document")
    places = [(row.passage.document_id, row.passage.start) for row in rows]
    assert places == sorted(places)
    only = rows[-1].passage.document_id
    assert {row.passage.document_id for row in listed(services, finding, document_id=only)} == {only}


def test_quotes_are_checked_and_kept_for_exports(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, Request("zebra quagga", EVERYTHING))
    assert answer["citations"]
    check_quotes(services, archive, answer)
    assert "quagga" in answer["citations"][0]["quote"]


def test_a_restricted_search_lists_no_other_document(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, Request("zebra", EVERYTHING, documents=("two.txt",)))
    rows = listed(services, answer["asked"]["finding"])
    assert {row.passage.document for row in rows} == {"two.txt"}


def test_words_that_stand_nowhere_are_said_not_to(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Nearness, "of", classmethod(lambda cls, *_: None))
    answer = ask(services, archive, Request("okapi", EVERYTHING))
    assert (answer["status"], answer["citations"]) == ("not_found", [])
    assert "No passage holds these words" in answer["answer"]


def test_a_document_taken_away_takes_its_passages_along(services: Services, archive: Archive) -> None:
    finding = ask(services, archive, Request("zebra", EVERYTHING))["asked"]["finding"]
    with services.database.session() as s:
        row = next(row for row in documents.list_documents(s, archive.id) if row.name == "one.txt")
        documents.remove_document(s, row.id)
    assert {row.passage.document for row in listed(services, finding)} <= {"two.txt", "three.txt"}
    with services.database.session() as s:
        findings.delete_finding(s, finding)
        assert found.count_found(s, finding) == []


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    holders = {"common": dict.fromkeys(range(90), 1.0), "rare": {1: 2.0, 95: 2.0}}
    shares = word_shares(holders, 100)
    assert shares[1][:2] == (2, pytest.approx(1.0))
    assert shares[95][1] > 2 / 3 > 1 / 3 > shares[2][1]


def test_what_is_near_is_told_from_the_archives_own_distances() -> None:
    random = np.random.default_rng(1)
    ordinary = random.normal(240, 12, 5_000).astype(np.int32)
    near = Nearness.of(ordinary, 512)
    assert near is not None
    assert 235 < near.middle < 245
    assert (ordinary <= near.threshold).sum() <= 2
    assert near.threshold < 256 - 4 * 11.3
    close = Nearness.of(np.array([100, 110, 120], np.int32), 512)
    assert close is not None
    assert close.threshold < 100
    assert Nearness.of(np.empty(0, np.int32), 512) is None


def test_the_sentence_names_what_passages_qualified_by() -> None:
    figures = {"passages": 12, "documents": 4, "every_word": 8, "some_words": 3, "code_only": 1, "quoted": 12}
    said = describe_found(figures)
    assert said.startswith("12 passages of 4 documents: 8 with every word, 3 with the rarer of the words, ")
    assert said.endswith("1 near in meaning alone.")
    assert "The first 10 are quoted here" in describe_found(figures | {"quoted": 10})
