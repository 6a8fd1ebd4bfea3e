"""Small archives for the storage tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from storage import Archive, Database, Document, PassageSpan, archives, documents
from storage.ingest.parsed import ParsedDocument, ParsedPage


@contextmanager
def new_database(folder: Path) -> Iterator[Database]:
    """A migrated database in a folder."""
    database = Database(f"sqlite:///{folder / 'engram.db'}")
    database.migrate()
    yield database
    database.close()


def add_archive(s: Session, name: str = "Papers") -> Archive:
    return archives.create_archive(s, name)


def add_queued(s: Session, archive: Archive, name: str) -> Document:
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return documents.add_document(s, archive.id, name, sha256, len(name), "text/plain")[0]


def add_text(
    s: Session, archive: Archive, name: str, *pages: str, title: str = "", heading: str = ""
) -> Document:
    """A parsed document with one passage a page; four characters make a token."""
    document = add_queued(s, archive, name)
    store(s, document, *pages, title=title, heading=heading)
    return document


def store(s: Session, document: Document, *pages: str, title: str = "", heading: str = "") -> None:
    parsed = ParsedDocument(
        "text/plain", title, tuple(ParsedPage(n, t) for n, t in enumerate(pages, 1)), (), ()
    )
    spans, start, token = [], 0, 0
    for ordinal, text in enumerate(pages):
        tokens = max(1, len(text) // 4)
        spans.append(PassageSpan(ordinal, start, start + len(text), token, token + tokens, heading))
        start, token = start + len(text), token + tokens
    documents.store_parsed(s, document.id, parsed, [span for span in spans if span.end > span.start], token)
