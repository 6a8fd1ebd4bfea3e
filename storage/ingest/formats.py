"""Telling what a file is: by its first bytes, and only then by its suffix."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath

from storage.ingest.parsed import ParseFailure

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp")
SUPPORTED: dict[str, str] = {
    ".pdf": "PDF",
    ".txt": "plain text",
    ".text": "plain text",
    ".log": "plain text",
    ".rst": "plain text",
    ".md": "Markdown",
    ".markdown": "Markdown",
    ".html": "HTML",
    ".htm": "HTML",
    ".xhtml": "HTML",
    ".docx": "Word document",
    ".csv": "CSV table",
    ".tsv": "TSV table",
    ".json": "JSON",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".xml": "XML",
    ".nxml": "XML",
    ".xlsx": "Excel workbook",
    ".xlsm": "Excel workbook",
    ".pptx": "PowerPoint presentation",
    ".eml": "e-mail",
    ".mbox": "mailbox",
    **dict.fromkeys(IMAGE_SUFFIXES, "scanned image"),
    ".epub": "EPUB book",
    ".tex": "LaTeX source",
    ".latex": "LaTeX source",
    ".zip": "ZIP archive",
}

MEDIA_TYPES: dict[str, str] = {
    "pdf": "application/pdf",
    "text": "text/plain",
    "markdown": "text/markdown",
    "html": "text/html",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "xml": "application/xml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "image": "image/*",
    "eml": "message/rfc822",
    "mbox": "application/mbox",
    "epub": "application/epub+zip",
    "latex": "application/x-tex",
    "zip": "application/zip",
}

_FORMAT_OF_SUFFIX = {
    **dict.fromkeys((".txt", ".text", ".log", ".rst"), "text"),
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".xml", ".nxml"), "xml"),
    **dict.fromkeys((".tex", ".latex"), "latex"),
    ".json": "json",
    ".pdf": "pdf",
    ".docx": "docx",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".pptx": "pptx",
    ".eml": "eml",
    ".mbox": "mbox",
    ".epub": "epub",
    ".zip": "zip",
}
_BINARY_SUFFIXES = (".pdf", ".docx", ".xlsx", ".xlsm", ".pptx", ".epub", ".zip", *IMAGE_SUFFIXES)
_HEADER_LINE = re.compile(rb"(?:>?From |[A-Za-z][A-Za-z0-9-]{0,60}:[ \t])")
_MAIL_HEADER = re.compile(
    rb"^(?:return-path|received|delivered-to|message-id|mime-version|x-mozilla-status):", re.I | re.M
)

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"II*\x00", "TIFF image"),
    (b"MM\x00*", "TIFF image"),
)
_OTHERS = (
    (b"{\\rtf", "RTF document", "Save it as .docx or PDF and add that."),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "old or password-protected Office file",
        "Open it, save it as .docx, .xlsx, .pptx or PDF without a password, and add that.",
    ),
    (b"\x1f\x8b", "gzip archive", "Unpack it and add the files in it."),
    (b"7z\xbc\xaf\x27\x1c", "7z archive", "Unpack it and add the files in it."),
    (b"Rar!", "RAR archive", "Unpack it and add the files in it."),
    (b"\xfd7zXZ\x00", "xz archive", "Unpack it and add the files in it."),
    (b"BZh", "bzip2 archive", "Unpack it and add the files in it."),
    (b"\x7fELF", "program", "Add documents instead."),
    (b"SQLite format 3\x00", "SQLite database", "Export its tables as CSV and add those."),
)
_MAX_DIRECTORY = 8 * 1024 * 1024
_ZIP_CONTENTS = (
    ("word/document.xml", "docx"),
    ("META-INF/container.xml", "epub"),
    ("xl/workbook.xml", "xlsx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.bin", "Excel workbook in its binary form"),
    ("content.xml", "OpenDocument file"),
)


MAIL_TYPES = (MEDIA_TYPES["eml"], MEDIA_TYPES["mbox"])


def is_archive(path: Path) -> bool:
    """Whether the file is a ZIP of documents (rather than a DOCX or EPUB, which are ZIPs too)."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
        return head in (b"PK\x03\x04", b"PK\x05\x06") and _inside_zip(path) == "zip"
    except (OSError, ParseFailure):
        return False


def tell_format(path: Path, name: str) -> str:
    """Return a key of MEDIA_TYPES; ParseFailure for what cannot be read, naming what the file is."""
    suffix = PurePosixPath(name.lower()).suffix
    with path.open("rb") as file:
        head = file.read(8192)
    if not head:
        raise ParseFailure("failed", "The file is empty (0 bytes)", "Save or download it again.")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _readable_zip(_inside_zip(path))
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if suffix in IMAGE_SUFFIXES and (_image_kind(head) or head.startswith(b"BM")):
        return "image"
    _refuse_other_kinds(head, suffix)
    if suffix in _BINARY_SUFFIXES:
        raise ParseFailure(
            "failed",
            f"The name ends in {suffix}, but the content is no {SUPPORTED[suffix]}",
            "The file is damaged or misnamed. Open it in the program it comes from and save it again.",
        )
    return _text_format(head, suffix)


def check_directory(path: Path) -> None:
    """Refuse a ZIP whose table of contents is itself a bomb: zipfile would read all of it into memory."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 66_000))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    declared = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if min(declared, size) > _MAX_DIRECTORY:
        raise ParseFailure(
            "failed", "The ZIP's table of contents is too large", "Split the archive into smaller ones."
        )


def _inside_zip(path: Path) -> str:
    check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeError) as error:
        raise ParseFailure(
            "failed",
            f"The file is a damaged or incomplete ZIP container ({error})",
            "Download or copy it again.",
        ) from error
    return next((kind for member, kind in _ZIP_CONTENTS if member in names), "zip")


def _readable_zip(kind: str) -> str:
    if kind not in MEDIA_TYPES:
        article = "an" if kind[0] in "EO" else "a"
        raise ParseFailure(
            "failed",
            f"This is {article} {kind}, which Engram does not read",
            "Save it as .docx, .xlsx, .pptx or PDF and add that.",
        )
    return kind


def _image_kind(head: bytes) -> str:
    kind = next((kind for magic, kind in _IMAGES if head.startswith(magic)), "")
    return "WebP image" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else kind


def _refuse_other_kinds(head: bytes, suffix: str) -> None:
    kind = _image_kind(head)
    if kind:
        misnamed = f", although its name ends in {suffix}" if suffix else ""
        raise ParseFailure(
            "failed", f"This is a {kind}{misnamed}", "Give it the name of an image, and add it again."
        )
    for magic, kind, hint in _OTHERS:
        if head.startswith(magic):
            article = "an" if kind[0] in "aeioRSx" else "a"
            raise ParseFailure("failed", f"This is {article} {kind}, which Engram does not read", hint)


def _text_format(head: bytes, suffix: str) -> str:
    start = head.replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")[:2048].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"
    if start.startswith(b"<?xml"):
        return "html" if re.search(rb"<html[\s>]", start) else "xml"
    by_suffix = _FORMAT_OF_SUFFIX.get(suffix)
    if by_suffix in ("eml", "mbox") and not _HEADER_LINE.match(head.lstrip(b"\xef\xbb\xbf\r\n")):
        raise ParseFailure(
            "failed",
            f"The name ends in {suffix}, but the content is no {SUPPORTED[suffix]}",
            "Save the message again in its mail program, as .eml or PDF.",
        )
    return by_suffix or _unnamed_format(head, start)


def _unnamed_format(head: bytes, start: bytes) -> str:
    """The format of text whose suffix says nothing."""
    if head.startswith(b"From ") and _MAIL_HEADER.search(head):
        return "mbox"
    if _HEADER_LINE.match(head) and len(_MAIL_HEADER.findall(head)) > 1:
        return "eml"
    if re.match(rb"<!doctype\s|<(?:article|pmc-articleset)[\s>]", start):
        return "xml"
    if re.search(rb"^\s*\\documentclass", start, re.MULTILINE):
        return "latex"
    return "text"
