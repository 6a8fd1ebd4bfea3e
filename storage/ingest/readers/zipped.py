"""Formats that are ZIP containers (DOCX, EPUB): checked before anything in them is expanded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from storage.ingest.formats import check_directory
from storage.ingest.parsed import ParseFailure, ParseLimits

ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)
_SMALL = 10_000_000
_HEAD = 4096


def check_container(path: Path, limits: ParseLimits) -> None:
    """Refuse containers that are encrypted, or expand to far more than documents do."""
    check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _refuse_entities(archive, members)
    except (*ZIP_DAMAGE, ValueError) as error:
        raise ParseFailure(
            "failed", f"The file is damaged ({error})", "Download or copy it again."
        ) from error
    if any(member.flag_bits & 1 for member in members):
        raise ParseFailure(
            "failed", "The file is protected with a password", "Save it without a password and add that."
        )
    expanded = sum(member.file_size for member in members)
    packed = max(1, path.stat().st_size)
    if expanded > limits.expanded_mb * 1_000_000 or (expanded > _SMALL and expanded > limits.ratio * packed):
        raise ParseFailure(
            "failed",
            f"The file expands from {packed / 1e6:,.1f} to {expanded / 1e6:,.0f} MB, as ZIP bombs do",
            "If you trust it, open it in its program and save it as PDF.",
        )


def _refuse_entities(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """Office files declare no document types; one that does wants to fetch or to expand something."""
    for member in members:
        if member.flag_bits & 1 or not member.filename.endswith((".xml", ".rels")):
            continue
        if member.filename.startswith(("word/", "xl/", "ppt/")):
            with archive.open(member) as part:
                head = part.read(_HEAD).replace(b"\x00", b"")
            if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                raise ParseFailure(
                    "failed",
                    "The file declares entities, as files that attack their reader do",
                    "Do not trust it. If you must read it, save it anew in its program.",
                )
