"""Documents: files of an archive on their way from queued to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from storage import fulltext, recognised
from storage.archives import lock_archive
from storage.columns import utc_now
from storage.coverage import coverage
from storage.errors import InvalidInputError, NotFoundError
from storage.models import Document, Page, Passage
from storage.passages import insert_passages
from storage.records import PassageSpan
from storage.tags import tag_documents
from storage.texts import (
    clean_line,
    clean_text,
    document_text,
    find_in_document,
    insert_pages,
    list_pages,
    page_at,
    page_numbered,
)

if TYPE_CHECKING:
    from storage.ingest.parsed import ParsedDocument

__all__ = [
    "STATUSES",
    "add_document",
    "coverage",
    "document_text",
    "fail_document",
    "find_documents",
    "find_in_document",
    "get_document",
    "list_documents",
    "list_pages",
    "mark_unread",
    "page_at",
    "page_numbered",
    "reading_order",
    "remove_document",
    "requeue_document",
    "set_status",
    "store_parsed",
    "stored_hashes",
]

STATUSES = ("queued", "parsing", "parsed", "reading", "ready", "failed", "needs_ocr", "skipped")
UNREADABLE = ("failed", "needs_ocr", "skipped")


def add_document(
    s: Session, archive_id: int, name: str, sha256: str, size: int, media_type: str
) -> tuple[Document, bool]:
    """Add a file to an archive, queued; the same content again gives the document that is there and False."""
    lock_archive(s, archive_id)
    same = select(Document).where(Document.archive_id == archive_id, Document.sha256 == sha256)
    found = s.scalar(same)
    if found is not None:
        return found, False
    document = Document(
        archive_id=archive_id,
        name=clean_line(name) or "unnamed",
        sha256=sha256,
        bytes=size,
        media_type=media_type,
    )
    s.add(document)
    s.flush()
    return document, True


def get_document(s: Session, document_id: int) -> Document:
    """A document by id."""
    document = s.get(Document, document_id)
    if document is None:
        raise NotFoundError(
            "unknown_document", f"There is no document {document_id}.", "It may have been removed."
        )
    return document


def list_documents(s: Session, archive_id: int) -> list[Document]:
    """All documents of an archive in the order of adding."""
    return list(s.scalars(select(Document).where(Document.archive_id == archive_id).order_by(Document.id)))


def reading_order(s: Session, archive_id: int) -> list[Document]:
    """The documents that have text, in the order of the context."""
    query = select(Document).where(Document.archive_id == archive_id, Document.position.is_not(None))
    return list(s.scalars(query.order_by(Document.position)))


def find_documents(s: Session, archive_id: int, names: Sequence[str]) -> list[Document]:
    """Documents by shown name; the last path part is enough. Every name must fit at least one."""
    documents, found = list_documents(s, archive_id), {}
    for name in names:
        wanted = clean_line(name).casefold()
        exact = [d for d in documents if d.name.casefold() == wanted]
        fits = exact or [d for d in documents if d.name.casefold().rsplit("/", 1)[-1] == wanted]
        if not fits:
            some = ", ".join(d.name for d in documents[:5]) or "none yet"
            raise NotFoundError(
                "unknown_document", f"No document {name[:200]!r} in this archive.", f"There are: {some}."
            )
        found.update({d.id: d for d in fits})
    return [d for d in documents if d.id in found]


def set_status(s: Session, document_id: int, status: str) -> Document:
    """Move a document on; "ready" notes the time of reading, anything before it forgets it."""
    if status not in STATUSES:
        raise InvalidInputError("bad_status", f"No such document status: {status!r}.")
    document = get_document(s, document_id)
    document.status = status
    document.read_at = utc_now() if status == "ready" else None
    s.flush()
    return document


def mark_unread(s: Session, archive_id: int, from_position: int = 0) -> None:
    """Documents from a place in the context on must be read again."""
    where = (Document.archive_id == archive_id, Document.position >= from_position)
    s.execute(
        update(Document)
        .where(*where, Document.status.in_(("reading", "ready")))
        .values(status="parsed", read_at=None)
    )


def store_parsed(
    s: Session, document_id: int, parsed: ParsedDocument, passages: list[PassageSpan], tokens: int
) -> None:
    """Store what parsing gave, searchable at once. Status becomes "parsed", and the document takes the next
    place in the context (or keeps its own); without any text it becomes "needs_ocr" or "skipped" instead.
    """
    document = _locked(s, document_id)
    _clear_parsed(s, document)
    text = insert_pages(s, document_id, parsed)
    sure = {page.number: page.confidence for page in parsed.pages if page.confidence is not None}
    recognised.note(s, document_id, sure)
    document.media_type = parsed.media_type
    document.title = clean_line(parsed.title)
    document.language = parsed.language
    document.pages = len(parsed.pages)
    document.characters = len(text)
    document.warnings = [clean_line(warning) for warning in parsed.warnings]
    document.tokens = tokens
    document.read_at = None
    if not text.strip() or not passages or tokens <= 0:
        _refuse_textless(s, document, any(page.needs_ocr for page in parsed.pages))
        return
    document.status, document.error, document.hint = "parsed", "", ""
    if document.position is None:
        document.position = _next_position(s, document.archive_id)
    s.flush()
    insert_passages(s, document, text, passages)


def fail_document(s: Session, document_id: int, status: str, error: str, hint: str = "") -> Document:
    """Say why a document is not in the context: "failed", "needs_ocr" or "skipped"."""
    if status not in UNREADABLE:
        raise InvalidInputError("bad_status", f"Not a status for a document that failed: {status!r}.")
    document = _locked(s, document_id)
    _clear_parsed(s, document)
    _leave_context(s, document)
    document.status, document.error, document.hint = status, clean_text(error), clean_text(hint)
    document.tokens, document.read_at = 0, None
    s.flush()
    return document


def requeue_document(s: Session, document_id: int) -> Document:
    """Take a document's text out of the archive and have it parsed again."""
    document = _locked(s, document_id)
    _clear_parsed(s, document)
    _leave_context(s, document)
    document.tokens, document.read_at, document.error, document.hint = 0, None, "", ""
    document.status = "queued"
    s.flush()
    return document


def remove_document(s: Session, document_id: int) -> list[str]:
    """Remove a document; citations keep its name. Returns the original's hash if nothing uses it any more."""
    document = _locked(s, document_id)
    sha256 = document.sha256
    _clear_parsed(s, document)
    _leave_context(s, document)
    tag_documents(s, document.archive_id, [document_id], [])
    s.delete(document)
    s.flush()
    used = s.scalar(select(Document.id).where(Document.sha256 == sha256).limit(1))
    return [sha256] if used is None else []


def stored_hashes(s: Session) -> set[str]:
    """Hashes of all originals in use, for FileStore.sweep."""
    return set(s.scalars(select(Document.sha256)))


def _locked(s: Session, document_id: int) -> Document:
    """A document as it is now, its archive held against other changes of its list."""
    lock_archive(s, get_document(s, document_id).archive_id)
    document = s.get(Document, document_id, populate_existing=True)
    return document or get_document(s, document_id)


def _clear_parsed(s: Session, document: Document) -> None:
    fulltext.remove(s, select(Passage.id).where(Passage.document_id == document.id))
    s.execute(Passage.__table__.delete().where(Passage.document_id == document.id))  # type: ignore[attr-defined]
    s.execute(Page.__table__.delete().where(Page.document_id == document.id))  # type: ignore[attr-defined]
    recognised.note(s, document.id, {})


def _leave_context(s: Session, document: Document) -> None:
    """Give up the place in the context and close the gap."""
    if document.position is None:
        return
    later = (Document.archive_id == document.archive_id, Document.position > document.position)
    document.position = None
    s.flush()
    s.execute(update(Document).where(*later).values(position=Document.position - 1))


def _refuse_textless(s: Session, document: Document, images: bool) -> None:
    _leave_context(s, document)
    document.tokens = 0
    if images:
        document.status, document.error = "needs_ocr", "All pages are images without text."
        document.hint = "Run it through OCR (for example ocrmypdf) and add the result."
    else:
        document.status, document.error, document.hint = "skipped", "There is no text in this file.", ""
    s.flush()


def _next_position(s: Session, archive_id: int) -> int:
    last = s.scalar(select(func.max(Document.position)).where(Document.archive_id == archive_id))
    return 0 if last is None else last + 1
