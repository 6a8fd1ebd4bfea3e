"""The parts of an export in order, the same for every format that people read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from storage.columns import utc_now
from storage.export import wording
from storage.export.record import CitationRecord, FindingRecord, Report


@dataclass(frozen=True, slots=True)
class Title:
    """The first line."""

    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 or 2."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph in pieces: (text, None), or a mark like [2] with the number of the quote it leads to."""

    pieces: tuple[tuple[str, int | None], ...]
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A line that names a citation's place and leads to its quote in the appendix."""

    citation: CitationRecord


@dataclass(frozen=True, slots=True)
class Quote:
    """A quoted passage in the appendix, the target of its marks."""

    citation: CitationRecord


@dataclass(frozen=True, slots=True)
class Items:
    """A list, bulleted or numbered."""

    lines: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Two columns: what, and the value."""

    rows: tuple[tuple[str, str], ...]


Block = Title | Heading | Text | Source | Quote | Items | Table


def build(report: Report) -> Iterator[Block]:
    """Title, introduction, every finding, the list of sources, and the quoted passages as an appendix."""
    findings = report.numbered()
    yield Title(report.heading)
    count = f"{len(findings)} finding" + ("" if len(findings) == 1 else "s")
    yield _plain(f"{count}, exported {wording.moment(utc_now())}", muted=True)
    yield from _paragraphs(report.introduction)
    for number, finding in enumerate(findings, 1):
        yield from _finding(number, finding)
    cited = wording.cited_documents(findings)
    if cited:
        yield Heading(1, "Sources")
        yield Items(
            tuple(f"{_line(name)}, {wording.page_list(pages)}" for name, pages in cited), numbered=True
        )
        yield Heading(1, "Appendix: quoted passages")
    for finding in findings:
        yield from map(Quote, finding.citations)


def _finding(number: int, finding: FindingRecord) -> Iterator[Block]:
    headline, question = wording.headline(finding.question)
    yield Heading(1, f"{number}. {headline}")
    yield from _paragraphs(question)
    numbers = [citation.number for citation in finding.citations]
    for part in _parts(wording.answer_text(finding)):
        yield Text(tuple(wording.answer_pieces(part, numbers)))
    yield _plain(wording.status_line(finding), muted=True)
    if finding.tags:
        yield _plain(f"Tags: {', '.join(finding.tags)}", muted=True)
    if finding.note.strip():
        yield Heading(2, "Note")
        yield from _paragraphs(finding.note)
    if finding.citations:
        yield Heading(2, "Citations")
        yield from map(Source, finding.citations)
    yield Heading(2, "Coverage")
    yield Items(tuple(wording.coverage_lines(finding)))
    yield Heading(2, "Provenance")
    yield Table(tuple(wording.provenance_rows(finding)))


def _plain(text: str, muted: bool = False) -> Text:
    return Text(((text, None),), muted)


def _paragraphs(text: str) -> Iterator[Block]:
    return (_plain(part) for part in _parts(text) if part)


def _parts(text: str) -> list[str]:
    return re.split(r"\n\s*\n", re.sub(r"\r\n?", "\n", text).strip())


def _line(text: str) -> str:
    return " ".join(text.split())


def place(citation: CitationRecord) -> str:
    """ "lease.pdf, page 3"."""
    return f"{_line(citation.document)}, page {citation.page}"
