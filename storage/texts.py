"""Reading stored text back, and cleaning text before it is stored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.errors import NotFoundError
from storage.models import Document, Page
from storage.records import TextHit

if TYPE_CHECKING:
    from storage.ingest.parsed import ParsedDocument

_AROUND = 40  # characters shown each side of a hit


def clean_text(text: str) -> str:
    """Text any database takes: no NUL, no lone surrogates. Its length stays, so that offsets hold."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


def clean_line(text: str) -> str:
    """The same on one line, spaces run together."""
    return " ".join(clean_text(text).split())


def document_text(s: Session, document_id: int, start: int = 0, end: int | None = None) -> str:
    """Characters [start, end) of a document's text, which is its pages joined; cut to what there is."""
    start = max(start, 0)
    query = select(Page.start, Page.text).where(Page.document_id == document_id, Page.end > start)
    if end is not None:
        query = query.where(Page.start < end)
    rows = s.execute(query.order_by(Page.start, Page.number)).all()
    if not rows:
        _require(s, document_id)
        return ""
    offset = rows[0].start
    text = "".join(row.text for row in rows)
    return text[max(start - offset, 0) : None if end is None else max(end - offset, 0)]


def list_pages(s: Session, document_id: int) -> list[Page]:
    """A document's pages in order."""
    return list(
        s.scalars(select(Page).where(Page.document_id == document_id).order_by(Page.start, Page.number))
    )


def page_at(s: Session, document_id: int, offset: int) -> Page:
    """The page that holds the character at `offset`; the nearest page for offsets outside the text."""
    pages = select(Page).where(Page.document_id == document_id)
    inside = pages.where(Page.start <= offset, Page.end > offset).limit(1)
    last = pages.where(Page.start <= offset).order_by(Page.start.desc(), Page.number.desc()).limit(1)
    first = pages.order_by(Page.start, Page.number).limit(1)
    for query in (inside, last, first):
        if (page := s.scalar(query)) is not None:
            return page
    name = _require(s, document_id).name
    raise NotFoundError("no_pages", f"{name} has no text.", "It was not parsed, or it needs OCR.")


def page_numbered(s: Session, document_id: int, number: int) -> Page | None:
    """The page of that number; None when there is none."""
    query = select(Page).where(Page.document_id == document_id, Page.number == number)
    return s.scalar(query.order_by(Page.start).limit(1))


def find_in_document(s: Session, document_id: int, words: str, limit: int = 100) -> list[TextHit]:
    """Places where the words stand in a document, letter case and line breaks aside, in order."""
    parts = [re.escape(part) for part in words.split()]
    if not parts:
        return []
    pattern = re.compile(r"\s+".join(parts), re.IGNORECASE)
    query = select(Page.number, Page.start, Page.text).where(Page.document_id == document_id)
    hits: list[TextHit] = []
    for number, start, text in s.execute(query.order_by(Page.start, Page.number)):
        for match in pattern.finditer(text):
            left, right = max(0, match.start() - _AROUND), match.end() + _AROUND
            around = " ".join(text[left:right].split())
            hits.append(TextHit(number, start + match.start(), match[0], around))
            if len(hits) >= limit:
                return hits
    return hits


def pages_without_text(s: Session, archive_id: int) -> dict[int, list[int]]:
    """Page numbers that need OCR, by document id."""
    query = select(Page.document_id, Page.number).join(Document, Document.id == Page.document_id)
    query = query.where(Document.archive_id == archive_id, Page.needs_ocr).order_by(Page.number)
    found: dict[int, list[int]] = {}
    for document_id, number in s.execute(query):
        found.setdefault(document_id, []).append(number)
    return found


def text_length(s: Session, document_id: int) -> int:
    """Characters in a document's stored text."""
    return s.scalar(select(func.max(Page.end)).where(Page.document_id == document_id)) or 0


def _require(s: Session, document_id: int) -> Document:
    document = s.get(Document, document_id)
    if document is None:
        raise NotFoundError(
            "unknown_document", f"There is no document {document_id}.", "It may have been removed."
        )
    return document


def insert_pages(s: Session, document_id: int, parsed: ParsedDocument) -> str:
    """Store a document's pages; its whole text as stored."""
    rows, start = [], 0
    for page in parsed.pages:
        text = clean_text(page.text)
        end = start + len(text)
        row = {"document_id": document_id, "number": page.number, "start": start, "end": end, "text": text}
        rows.append({**row, "needs_ocr": page.needs_ocr})
        start = end
    if rows:
        s.execute(Page.__table__.insert(), rows)  # type: ignore[attr-defined]
    return "".join(str(row["text"]) for row in rows)
