"""Notes, tags and reports: a person's own order over the findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_rows import add_archive, new_database

from storage import Database, InvalidInputError, NotFoundError, findings, reports


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


@pytest.fixture
def ids(db: Database) -> list[int]:
    with db.session() as s:
        archive = add_archive(s)
        return [findings.create_finding(s, archive.id, None, f"Q{number}?").id for number in range(4)]


def test_note_and_tags_are_kept_clean(db: Database, ids: list[int]) -> None:
    with db.session() as s:
        findings.annotate_finding(s, ids[0], " Ask\0 counsel \n", ["Lease", " urgent  now ", "LEASE", ""])
        findings.annotate_finding(s, ids[1], "", ["alpha"])
    with db.session() as s:
        finding = findings.get_finding(s, ids[0])
        assert finding.note == "Ask  counsel"
        assert finding.tags == ["Lease", "urgent now"]
        assert findings.list_tags(s, finding.archive_id) == ["alpha", "Lease", "urgent now"]


def test_findings_made_before_have_no_note_and_no_tags(db: Database, ids: list[int]) -> None:
    with db.session() as s:
        assert (findings.get_finding(s, ids[0]).note, findings.get_finding(s, ids[0]).tags) == ("", [])


def test_a_report_keeps_the_order_a_person_gives(db: Database, ids: list[int]) -> None:
    with db.session() as s:
        report = reports.create_report(s, 1, "  Our   report ", ids[:2])
        reports.add_to_report(s, report.id, [ids[2], ids[0]])
        reports.move_in_report(s, report.id, ids[2], -1)
        reports.move_in_report(s, report.id, ids[0], -5)
        reports.update_report(s, report.id, introduction=" Words ")
    with db.session() as s:
        kept = reports.get_report(s, report.id)
        assert (kept.title, kept.introduction) == ("Our report", "Words")
        assert [finding.id for finding in reports.report_findings(s, report.id)] == [ids[0], ids[2], ids[1]]
        reports.remove_from_report(s, report.id, ids[2])
        assert reports.get_report(s, report.id).findings == [ids[0], ids[1]]


def test_a_deleted_finding_leaves_its_reports_and_a_deleted_report_its_findings(
    db: Database, ids: list[int]
) -> None:
    with db.session() as s:
        report = reports.create_report(s, 1, "R", ids)
        findings.delete_finding(s, ids[1])
    with db.session() as s:
        assert [finding.id for finding in reports.report_findings(s, report.id)] == [ids[0], ids[2], ids[3]]
        reports.move_in_report(s, report.id, ids[2], -1)
        assert [finding.id for finding in reports.report_findings(s, report.id)] == [ids[2], ids[0], ids[3]]
        reports.delete_report(s, report.id)
    with db.session() as s:
        assert reports.list_reports(s, 1) == []
        assert len(findings.list_findings(s)) == 3


@pytest.mark.parametrize("title", ["", " \n", "x" * 201])
def test_a_bad_title_is_refused(db: Database, ids: list[int], title: str) -> None:
    with pytest.raises(InvalidInputError), db.session() as s:
        reports.create_report(s, 1, title)


def test_an_unknown_report_or_archive_is_told(db: Database) -> None:
    with db.session() as s:
        with pytest.raises(NotFoundError):
            reports.get_report(s, 5)
        with pytest.raises(NotFoundError):
            reports.create_report(s, 99, "x")
