"""Findings: questions asked, the answers as they grew, their citations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.archives import get_archive
from storage.columns import utc_now
from storage.errors import InvalidInputError, NotFoundError
from storage.follow_ups import FollowUp
from storage.models import Citation, Document, Finding
from storage.records import CitationData
from storage.texts import clean_line, clean_text

STATUSES = ("running", "supported", "partly_supported", "not_found", "failed", "cancelled")
MAX_TAG = 60
MAX_THREAD = 100
_FIELDS = {"job_id", "details", "answer", "status", "confidence", "context", "run", "error", "finished_at"}


def create_finding(
    s: Session,
    archive_id: int,
    job_id: int | None,
    question: str,
    documents: Sequence[str] = (),
    parent_id: int | None = None,
    details: dict[str, Any] | None = None,
) -> Finding:
    """Record that a question was asked, before anything is answered; `details` say how it was meant."""
    words = clean_text(question).strip()
    if not words:
        raise InvalidInputError("empty_question", "The question is empty.", "Type a question.")
    get_archive(s, archive_id)
    finding = Finding(
        archive_id=archive_id,
        job_id=job_id,
        question=words,
        details=details or {},
        documents=list(documents),
        citations=[],
    )
    s.add(finding)
    s.flush()
    if parent_id is not None:
        s.add(FollowUp(finding_id=finding.id, parent_id=parent_id))
        s.flush()
    s.refresh(finding)
    return finding


def get_finding(s: Session, finding_id: int) -> Finding:
    """A finding with its citations, as it is now."""
    finding = s.scalar(
        select(Finding).where(Finding.id == finding_id).execution_options(populate_existing=True)
    )
    if finding is None:
        raise NotFoundError(
            "unknown_finding", f"There is no finding {finding_id}.", "It may have been deleted."
        )
    return finding


def thread_of(s: Session, finding: Finding) -> list[Finding]:
    """The findings that led to this one, the first question first; it begins after one that was deleted."""
    found: list[Finding] = []
    below = finding.id
    while len(found) < MAX_THREAD:
        above = s.scalar(select(FollowUp.parent_id).where(FollowUp.finding_id == below))
        if above is None:
            break
        found.append(get_finding(s, above))
        below = above
    return found[::-1]


def follow_ups(s: Session, finding_id: int) -> list[Finding]:
    """The findings that were asked under this one, oldest first."""
    query = select(Finding).join(FollowUp, FollowUp.finding_id == Finding.id).order_by(Finding.id)
    query = query.where(FollowUp.parent_id == finding_id)
    return list(s.scalars(query.execution_options(populate_existing=True)))


def close_findings(s: Session, job_id: int, status: str, error: str = "") -> None:
    """A finding does not stay "running" when its job has ended without it."""
    running = update(Finding).where(Finding.job_id == job_id, Finding.status == "running")
    s.execute(running.values(status=status, error=error, finished_at=utc_now()))


def list_findings(s: Session, archive_id: int | None = None, limit: int = 500) -> list[Finding]:
    """Findings with their citations, newest first."""
    query = select(Finding).order_by(Finding.id.desc()).limit(limit)
    if archive_id is not None:
        query = query.where(Finding.archive_id == archive_id)
    return list(s.scalars(query.execution_options(populate_existing=True)))


def find_by_job(s: Session, job_id: int) -> Finding | None:
    """The finding that a job answers."""
    query = select(Finding).where(Finding.job_id == job_id).order_by(Finding.id.desc()).limit(1)
    return s.scalar(query.execution_options(populate_existing=True))


def update_finding(s: Session, finding_id: int, **fields: Any) -> None:
    """Change the answer so far, the status, or what is known of the run; a final status notes the time."""
    unknown = set(fields) - _FIELDS
    if unknown:
        raise InvalidInputError(
            "bad_field", f"A finding has no field {', '.join(sorted(unknown))} to change."
        )
    if fields.get("status", "running") not in STATUSES:
        raise InvalidInputError("bad_status", f"No such finding status: {fields['status']!r}.")
    if fields.get("status", "running") != "running":
        fields.setdefault("finished_at", utc_now())
    for name in {"answer", "error"} & set(fields):
        fields[name] = clean_text(fields[name])
    changed = s.execute(update(Finding).where(Finding.id == finding_id).values(**fields))
    if not changed.rowcount:  # type: ignore[attr-defined]
        raise NotFoundError(
            "unknown_finding", f"There is no finding {finding_id}.", "It may have been deleted."
        )


def annotate_finding(s: Session, finding_id: int, note: str, tags: Sequence[str]) -> Finding:
    """Keep a person's note and tags beside a finding; tags of the same letters are one."""
    finding = get_finding(s, finding_id)
    finding.note = clean_text(note).strip()
    named: dict[str, str] = {}
    for tag in (clean_line(tag)[:MAX_TAG] for tag in tags):
        named.setdefault(tag.casefold(), tag)
    finding.tags = [tag for tag in named.values() if tag]
    s.flush()
    return finding


def list_tags(s: Session, archive_id: int) -> list[str]:
    """Every tag in use on an archive's findings, by name."""
    rows = s.scalars(select(Finding.tags).where(Finding.archive_id == archive_id))
    return sorted({tag for tags in rows for tag in tags or ()}, key=str.casefold)


def set_citations(s: Session, finding_id: int, citations: Sequence[CitationData]) -> None:
    """Replace a finding's citations; a document that is gone by now leaves its name."""
    finding = get_finding(s, finding_id)
    wanted = {item.document_id for item in citations if item.document_id is not None}
    there = set(s.scalars(select(Document.id).where(Document.id.in_(wanted))))
    finding.citations = [_citation(item, item.document_id in there) for item in citations]
    s.flush()


def delete_finding(s: Session, finding_id: int) -> None:
    """Delete a finding with its citations."""
    s.delete(get_finding(s, finding_id))
    s.flush()


def _citation(item: CitationData, has_document: bool) -> Citation:
    return Citation(
        number=item.number,
        document_id=item.document_id if has_document else None,
        document=clean_text(item.document),
        page=item.page,
        start=item.start,
        end=item.end,
        quote=clean_text(item.quote),
        verified=item.verified,
        score=item.score,
    )
