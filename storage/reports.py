"""Reports: findings put together under a title, in an order of a person's choosing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.archives import get_archive
from storage.errors import InvalidInputError, NotFoundError
from storage.models import Finding, Report
from storage.texts import clean_line, clean_text

MAX_TITLE = 200


def create_report(s: Session, archive_id: int, title: str, findings: Sequence[int] = ()) -> Report:
    """Make a report of these findings, in this order."""
    get_archive(s, archive_id)
    report = Report(
        archive_id=archive_id, title=_title(title), introduction="", findings=list(dict.fromkeys(findings))
    )
    s.add(report)
    s.flush()
    return report


def get_report(s: Session, report_id: int) -> Report:
    """A report by id, as it is now."""
    report = s.get(Report, report_id, populate_existing=True)
    if report is None:
        raise NotFoundError("unknown_report", f"There is no report {report_id}.", "It may have been deleted.")
    return report


def list_reports(s: Session, archive_id: int) -> list[Report]:
    """An archive's reports, oldest first."""
    return list(s.scalars(select(Report).where(Report.archive_id == archive_id).order_by(Report.id)))


def update_report(
    s: Session, report_id: int, *, title: str | None = None, introduction: str | None = None
) -> Report:
    """Change a report's title or the words before its findings."""
    report = get_report(s, report_id)
    if title is not None:
        report.title = _title(title)
    if introduction is not None:
        report.introduction = clean_text(introduction).strip()
    s.flush()
    return report


def add_to_report(s: Session, report_id: int, finding_ids: Sequence[int]) -> Report:
    """Append findings; those in it already keep their place."""
    report = get_report(s, report_id)
    report.findings = list(dict.fromkeys([*report.findings, *finding_ids]))
    s.flush()
    return report


def remove_from_report(s: Session, report_id: int, finding_id: int) -> Report:
    """Take a finding out of a report; the finding itself stays."""
    report = get_report(s, report_id)
    report.findings = [item for item in report.findings if item != finding_id]
    s.flush()
    return report


def move_in_report(s: Session, report_id: int, finding_id: int, by: int) -> Report:
    """Move a finding up (negative) or down among those that still exist; at the end it stays."""
    report = get_report(s, report_id)
    order = [finding.id for finding in report_findings(s, report_id)]
    if finding_id in order:
        at = order.index(finding_id)
        order.insert(min(max(at + by, 0), len(order) - 1), order.pop(at))
        report.findings = order
        s.flush()
    return report


def report_findings(s: Session, report_id: int) -> list[Finding]:
    """The report's findings in its order; those deleted since are left out."""
    wanted = get_report(s, report_id).findings
    query = select(Finding).where(Finding.id.in_(wanted)).execution_options(populate_existing=True)
    found = {finding.id: finding for finding in s.scalars(query)}
    return [found[item] for item in wanted if item in found]


def delete_report(s: Session, report_id: int) -> None:
    """Delete a report; its findings stay."""
    s.delete(get_report(s, report_id))
    s.flush()


def _title(title: str) -> str:
    cleaned = clean_line(title)
    if not cleaned or len(cleaned) > MAX_TITLE:
        raise InvalidInputError(
            "bad_title", f"A report's title has 1 to {MAX_TITLE} characters.", "Type a title."
        )
    return cleaned
