"""What an export says of one finding, free of the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from storage.models import Finding


@dataclass(frozen=True, slots=True)
class CitationRecord:
    """A numbered quote; start and end are offsets in the document's text."""

    number: int
    document: str
    page: int
    start: int
    end: int
    quote: str
    verified: bool
    score: float | None = None


@dataclass(frozen=True, slots=True)
class FindingRecord:
    """A question, its answer with [n] marks, the quotes, what was read, and what it ran on.

    `context` and `run` hold the keys that `ask --json` prints under these names.
    """

    question: str
    answer: str
    status: str
    citations: tuple[CitationRecord, ...] = ()
    archive: str = ""
    confidence: float | None = None
    documents: tuple[str, ...] = ()
    context: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    asked_at: datetime | None = None
    finished_at: datetime | None = None


def to_record(finding: Finding, archive: str = "") -> FindingRecord:
    """The record of a stored finding."""
    citations = (
        CitationRecord(c.number, c.document, c.page, c.start, c.end, c.quote, c.verified, c.score)
        for c in sorted(finding.citations, key=lambda c: c.number)
    )
    return FindingRecord(
        question=finding.question,
        answer=finding.answer,
        status=finding.status,
        citations=tuple(citations),
        archive=archive,
        confidence=finding.confidence,
        documents=tuple(finding.documents or ()),
        context=dict(finding.context or {}),
        run=dict(finding.run or {}),
        error=finding.error,
        asked_at=finding.created_at,
        finished_at=finding.finished_at,
    )
