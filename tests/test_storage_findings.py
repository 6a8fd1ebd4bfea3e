"""Findings: durable from the question on; citations that outlive their documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_rows import add_archive, add_text, new_database

from storage import CitationData, Database, InvalidInputError, NotFoundError, documents, findings


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


def cite(
    number: int, document_id: int | None, name: str = "a.txt", quote: str = "six months"
) -> CitationData:
    return CitationData(number, document_id, name, 1, 0, len(quote), quote, True, 0.5)


def test_answer_grows_and_ends(db: Database) -> None:
    with db.session() as s:
        finding = findings.create_finding(s, add_archive(s).id, None, "  How long?\0 ", ["a.txt"])
        findings.update_finding(s, finding.id, answer="Six")
    with db.session() as s:
        running = findings.get_finding(s, finding.id)
        assert (running.answer, running.status, running.finished_at) == ("Six", "running", None)
        findings.update_finding(
            s,
            finding.id,
            answer="Six months [1].",
            status="supported",
            confidence=0.9,
            run={"energy_j": None},
        )
    with db.session() as s:
        done = findings.get_finding(s, finding.id)
    assert (done.question, done.documents) == ("How long?", ["a.txt"])
    assert (done.answer, done.status, done.confidence, done.run) == (
        "Six months [1].",
        "supported",
        0.9,
        {"energy_j": None},
    )
    assert done.finished_at is not None


@pytest.mark.parametrize("question", ["", "  \n\t ", "\0"])
def test_empty_question_is_refused(db: Database, question: str) -> None:
    with pytest.raises(InvalidInputError) as caught, db.session() as s:
        findings.create_finding(s, add_archive(s).id, None, question)
    assert caught.value.code == "empty_question"


def test_very_long_question_is_kept(db: Database) -> None:
    with db.session() as s:
        finding = findings.create_finding(s, add_archive(s).id, None, "why " * 12_500)
    assert len(finding.question) == 49_999


def test_citations_outlive_their_document(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        document = add_text(s, archive, "a.txt", "six months\n")
        finding = findings.create_finding(s, archive.id, None, "How long?")
        findings.set_citations(s, finding.id, [cite(2, document.id), cite(1, document.id)])
    with db.session() as s:
        documents.remove_document(s, document.id)
    with db.session() as s:
        found = findings.get_finding(s, finding.id).citations
    assert [(c.number, c.document_id, c.document, c.quote) for c in found] == [
        (1, None, "a.txt", "six months"),
        (2, None, "a.txt", "six months"),
    ]


def test_citing_a_document_removed_meanwhile_keeps_its_name(db: Database) -> None:
    with db.session() as s:
        finding = findings.create_finding(s, add_archive(s).id, None, "How long?")
        findings.set_citations(s, finding.id, [cite(1, 999, "gone.txt")])
    assert [(c.document_id, c.document) for c in finding.citations] == [(None, "gone.txt")]


def test_citations_are_replaced(db: Database) -> None:
    with db.session() as s:
        finding = findings.create_finding(s, add_archive(s).id, None, "How long?")
        findings.set_citations(s, finding.id, [cite(1, None), cite(2, None)])
        findings.set_citations(s, finding.id, [cite(1, None, quote="new")])
    with db.session() as s:
        assert [c.quote for c in findings.get_finding(s, finding.id).citations] == ["new"]


def test_findings_are_listed_newest_first_with_citations(db: Database) -> None:
    with db.session() as s:
        one, two = add_archive(s, "One"), add_archive(s, "Two")
        ids = [findings.create_finding(s, a.id, None, "Q").id for a in (one, two, one)]
        findings.set_citations(s, ids[0], [cite(1, None)])
    with db.session() as s:
        everything, some = findings.list_findings(s), findings.list_findings(s, one.id)
    assert [f.id for f in everything] == ids[::-1]
    assert [len(f.citations) for f in some] == [0, 1]


def test_unknown_field_status_and_finding_are_refused(db: Database) -> None:
    with db.session() as s:
        finding = findings.create_finding(s, add_archive(s).id, None, "Q")
        with pytest.raises(InvalidInputError, match="question"):
            findings.update_finding(s, finding.id, question="other")
        with pytest.raises(InvalidInputError, match="perhaps"):
            findings.update_finding(s, finding.id, status="perhaps")
        findings.delete_finding(s, finding.id)
        with pytest.raises(NotFoundError):
            findings.update_finding(s, finding.id, answer="late")
        with pytest.raises(NotFoundError):
            findings.get_finding(s, finding.id)
