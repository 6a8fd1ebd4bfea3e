"""Findings in files that other people can open: Markdown, JSON, DOCX, PDF, HTML, CSV, XLSX."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sqlalchemy.orm import Session

from storage import recognised
from storage.export import html_file, json_file, markdown, table_file
from storage.export.json_file import SCHEMA, load_findings
from storage.export.record import CitationRecord, FindingRecord, Report, in_order, to_record
from storage.export.target import write_whole, writer_for
from storage.models import Finding

__all__ = [
    "FORMATS",
    "SCHEMA",
    "CitationRecord",
    "FindingRecord",
    "Report",
    "export_findings",
    "load_findings",
    "load_records",
    "to_record",
]


def _write_docx(report: Report, path: Path) -> None:
    from storage.export import docx_file  # python-docx takes a while to import, and only this format needs it

    docx_file.write(report, path)


def _write_pdf(report: Report, path: Path) -> None:
    from storage.export import pdf_file  # and so does reportlab

    pdf_file.write(report, path)


def _write_html(report: Report, path: Path) -> None:
    path.write_bytes(html_file.render(report).encode("utf-8"))


def _write_markdown(report: Report, path: Path) -> None:
    path.write_bytes(markdown.render(report).encode("utf-8", "replace"))


def _write_json(report: Report, path: Path) -> None:
    path.write_bytes(json_file.render(report).encode("utf-8"))


FORMATS: dict[str, Callable[[Report, Path], None]] = {
    "md": _write_markdown,
    "json": _write_json,
    "docx": _write_docx,
    "pdf": _write_pdf,
    "html": _write_html,
    "csv": table_file.write_csv,
    "xlsx": table_file.write_xlsx,
}


def load_records(s: Session, findings: Iterable[Finding], archive: str = "") -> list[FindingRecord]:
    """Stored findings as they are exported, quotes from recognised text marked."""
    return [to_record(item, archive, recognised.of_citations(s, item.citations)) for item in findings]


def export_findings(
    findings: Iterable[FindingRecord | Finding],
    path: Path | str,
    format: str | None = None,
    archive: str = "",
    title: str = "",
    introduction: str = "",
) -> Path:
    """Write findings to a file, whole or not at all; the format is told by the name's ending unless given.

    `archive` names the archive of stored findings, which carry only its number; `title` and `introduction`
    stand before the findings.
    """
    target = Path(path)
    write = writer_for(FORMATS, target, format)
    report = Report(in_order(findings, archive), title, introduction)
    write_whole(target, lambda temporary: write(report, temporary))
    return target
