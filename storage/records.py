"""Plain records that pass between storage and its callers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PassageSpan:
    """Where a passage lies: characters of the document's text, and tokens of the document."""

    ordinal: int
    start: int
    end: int
    token_start: int
    token_end: int
    heading: str = ""


@dataclass(frozen=True, slots=True)
class PassageText:
    """A passage with its words and its place; start and end are offsets in the document's text."""

    id: int
    document_id: int
    document: str
    title: str
    heading: str
    page: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class TextHit:
    """Words found in a document: page, offset in the document's text, as they stand, and around them."""

    page: int
    start: int
    text: str
    around: str


@dataclass(frozen=True, slots=True)
class CitationData:
    """A citation to be stored; start and end are offsets in the document's text."""

    number: int
    document_id: int | None
    document: str
    page: int
    start: int
    end: int
    quote: str
    verified: bool
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of an archive has been read, and what has not and why."""

    documents: int
    read: int
    tokens_total: int
    tokens_read: int
    not_read: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file's content in the file store."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker process that has said it is there."""

    id: str
    alive: bool
    age_s: float
    info: dict[str, object]
