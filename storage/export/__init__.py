"""Findings in files that other people can open: Markdown, JSON, DOCX."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from storage.errors import InvalidInputError, NotFoundError, translated
from storage.export import json_file, markdown
from storage.export.json_file import SCHEMA, load_findings
from storage.export.record import CitationRecord, FindingRecord, to_record
from storage.files import sync_folder
from storage.models import Finding

__all__ = [
    "FORMATS",
    "SCHEMA",
    "CitationRecord",
    "FindingRecord",
    "export_findings",
    "load_findings",
    "to_record",
]


def _write_docx(findings: list[FindingRecord], path: Path) -> None:
    from storage.export import docx_file  # python-docx takes a while to import, and only this format needs it

    docx_file.write(findings, path)


def _write_markdown(findings: list[FindingRecord], path: Path) -> None:
    path.write_bytes(markdown.render(findings).encode("utf-8", "replace"))


def _write_json(findings: list[FindingRecord], path: Path) -> None:
    path.write_bytes(json_file.render(findings).encode("utf-8"))


FORMATS: dict[str, Callable[[list[FindingRecord], Path], None]] = {
    "md": _write_markdown,
    "json": _write_json,
    "docx": _write_docx,
}


def export_findings(
    findings: Iterable[FindingRecord | Finding],
    path: Path | str,
    format: str | None = None,
    archive: str = "",
) -> Path:
    """Write findings to a file, whole or not at all; the format is told by the name's ending unless given.

    `archive` names the archive of stored findings, which carry only its number.
    """
    target = Path(path)
    suffix = (format or target.suffix).lower().lstrip(".")
    write = FORMATS.get(suffix)
    if write is None:
        known = ", ".join(f".{name}" for name in FORMATS)
        what = f".{suffix} files" if suffix else "a name without an ending"
        raise InvalidInputError("unknown_format", f"Cannot export to {what}.", f"Choose one of {known}.")
    if not target.parent.is_dir():
        raise NotFoundError(
            "folder_missing", f"No such folder: {target.parent}", "Make it, or choose another."
        )
    records = [to_record(item, archive) if isinstance(item, Finding) else item for item in findings]
    with translated():
        _replace(target, lambda temporary: write(records, temporary))
    return target


def _replace(target: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary file beside the target, then take its place."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".export-")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)
