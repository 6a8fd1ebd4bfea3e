"""Readers, one a format; each is imported only when a file needs it. They run in the child process."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path, PurePosixPath

from storage.ingest.formats import MEDIA_TYPES, tell_format
from storage.ingest.parsed import ParsedDocument, ParseFailure, ParseLimits
from storage.ingest.readers.source import Source

_MODULES = {
    "pdf": "pdf",
    "text": "plain",
    "markdown": "markdown",
    "html": "html",
    "docx": "docx",
    "xlsx": "xlsx",
    "pptx": "pptx",
    "image": "image",
    "eml": "mail",
    "mbox": "mail",
    "csv": "table",
    "json": "json_data",
    "jsonl": "json_data",
    "xml": "xml",
    "epub": "epub",
    "latex": "latex",
}


def read(path: Path, name: str, limits: ParseLimits, deadline: float) -> ParsedDocument:
    """Read one file of any supported format; `deadline` is on the monotonic clock."""
    kind = tell_format(path, name)
    if kind == "zip":
        raise ParseFailure(
            "failed", "This is a ZIP archive, not a document", "Add it as an archive: its files are unpacked."
        )
    suffix = PurePosixPath(name.lower()).suffix
    source = Source(path, name, kind, suffix, limits, deadline)
    document: ParsedDocument = import_module(f"storage.ingest.readers.{_MODULES[kind]}").read(source)
    return document


def media_type(kind: str) -> str:
    """The media type stored with a document of this kind."""
    return MEDIA_TYPES[kind]
