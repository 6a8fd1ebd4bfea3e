"""What an export says of one finding, free of the database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from storage.models import Finding

MARK = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True, slots=True)
class CitationRecord:
    """A numbered quote; start and end are offsets in the document's text. `recognised`: its page was an image
    whose text was recognised (OCR), with this confidence.
    """

    number: int
    document: str
    page: int
    start: int
    end: int
    quote: str
    verified: bool
    score: float | None = None
    recognised: bool = False
    recognised_confidence: float | None = None


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
    note: str = ""
    tags: tuple[str, ...] = ()
    asked_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Findings in the order they are exported, with the title and the words before them."""

    findings: tuple[FindingRecord, ...]
    title: str = ""
    introduction: str = ""

    @property
    def heading(self) -> str:
        """The title; without one, the archive that all findings share."""
        names = {finding.archive for finding in self.findings}
        shared = f"Findings: {names.pop()}" if len(names) == 1 and "" not in names else "Findings"
        return self.title.strip() or shared

    def numbered(self) -> list[FindingRecord]:
        """The findings with their citations numbered through the whole report, marks in the answers too."""
        found, before = [], 0
        for finding in self.findings:
            found.append(_renumbered(finding, before))
            before += max((citation.number for citation in finding.citations), default=0)
        return found


def _renumbered(finding: FindingRecord, before: int) -> FindingRecord:
    known = {citation.number for citation in finding.citations}

    def shift(mark: re.Match[str]) -> str:
        number = int(mark[1])
        if number in known:
            return f"[{number + before}]"
        # A mark without a citation must not seem to point at another finding's quote.
        return mark[0] if not before else f"({number})"

    citations = tuple(replace(citation, number=citation.number + before) for citation in finding.citations)
    return replace(finding, answer=MARK.sub(shift, finding.answer), citations=citations)


def in_order(items: Iterable[Finding | FindingRecord], archive: str = "") -> tuple[FindingRecord, ...]:
    """Stored findings and records as records."""
    return tuple(to_record(item, archive) if isinstance(item, Finding) else item for item in items)


def to_record(
    finding: Finding, archive: str = "", recognised: Mapping[int, float] | None = None
) -> FindingRecord:
    """The record of a stored finding; `recognised` is what `storage.recognised.of_citations` gives for it."""
    sure = recognised or {}
    citations = (
        CitationRecord(
            c.number, c.document, c.page, c.start, c.end, c.quote, c.verified, c.score, c.number in sure,
            sure.get(c.number),
        )
        for c in sorted(finding.citations, key=lambda c: c.number)
    )  # fmt: skip
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
        note=finding.note or "",
        tags=tuple(finding.tags or ()),
        asked_at=finding.created_at,
        finished_at=finding.finished_at,
    )
