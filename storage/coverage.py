"""Coverage: what of an archive was read, what was not, and why."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Document
from storage.records import Coverage
from storage.texts import pages_without_text

_WAITING = {
    "queued": "waiting to be parsed",
    "parsing": "being parsed",
    "parsed": "waiting to be read",
    "reading": "being read",
}
_FAILED = {
    "failed": "could not be parsed",
    "needs_ocr": "images without text, needs OCR",
    "skipped": "skipped",
}
_PAGES_NAMED = 12


def coverage(s: Session, archive_id: int) -> Coverage:
    """Count what was read; `not_read` names each document left out, wholly or in part, with the reason."""
    columns = (Document.id, Document.name, Document.status, Document.error, Document.tokens)
    rows = s.execute(select(*columns).where(Document.archive_id == archive_id).order_by(Document.id)).all()
    without_text = pages_without_text(s, archive_id)
    not_read: list[tuple[str, str]] = []
    for row in rows:
        if row.status in _WAITING:
            not_read.append((row.name, _WAITING[row.status]))
        elif row.status != "ready":
            not_read.append((row.name, row.error or _FAILED.get(row.status, row.status)))
        if row.id in without_text and row.status not in _FAILED:
            not_read.append((row.name, _name_pages(without_text[row.id])))
    ready = [row for row in rows if row.status == "ready"]
    return Coverage(
        documents=len(rows),
        read=len(ready),
        tokens_total=sum(row.tokens for row in rows),
        tokens_read=sum(row.tokens for row in ready),
        not_read=tuple(not_read),
    )


def _name_pages(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_PAGES_NAMED]))
    if len(numbers) > _PAGES_NAMED:
        shown += f" and {len(numbers) - _PAGES_NAMED} more"
    return f"{'page' if len(numbers) == 1 else 'pages'} {shown}: image without text, needs OCR"
