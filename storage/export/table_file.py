"""Findings as tables: CSV with a row a citation, XLSX with findings, quotes, sources, provenance."""

from __future__ import annotations

from pathlib import Path

from storage.columns import utc_now
from storage.export import sheet, wording
from storage.export.record import CitationRecord, FindingRecord, Report

_FINDING = ("Finding", "Question", "Answer", "Status", "Confidence", "Tags", "Note")
_CITATION = (
    "Citation", "Document", "Page", "Start", "End", "Quote", "Verified", "Recognised (OCR)",
    "OCR confidence",
)  # fmt: skip
_ABOUT = (
    "Archive", "Asked", "Answered", "Model", "Model fingerprint", "Device", "Energy", "Coverage"
)  # fmt: skip
_QUOTES, _FINDINGS = "Quotes", "Findings"


def write_csv(report: Report, path: Path) -> None:
    """A row for each citation, the finding repeated beside it; a finding without any has one row."""
    rows: list[sheet.Row] = []
    for number, finding in enumerate(report.numbered(), 1):
        about = [_provenance(finding).get(name, "") for name in _ABOUT[:-1]]
        coverage = " ".join(wording.coverage_lines(finding))
        for citation in finding.citations or (None,):
            rows.append([*_finding(number, finding), *_citation(citation), *about, coverage])
    sheet.write_csv(path, [*_FINDING, *_CITATION, *_ABOUT], rows)


def write_xlsx(report: Report, path: Path) -> None:
    """Sheets: findings, the quotes they lead to, sources, coverage and provenance."""
    findings, book = report.numbered(), sheet.Workbook()
    first: dict[int, int] = {}
    quotes: list[sheet.Row] = []
    for number, finding in enumerate(findings, 1):
        for citation in finding.citations:
            first.setdefault(number, len(quotes) + 2)
            quotes.append([*_citation(citation), number])
    head = [*_FINDING, "Citations"]
    rows = [[*_finding(n, f), _marks(f)] for n, f in enumerate(findings, 1)]
    table = book.add(_FINDINGS, head, rows, (9, 40, 60, 22, 12, 18, 30, 14))
    for number, row in first.items():
        sheet.link(table.cell(number + 1, len(head)), _QUOTES, row)
    listed = book.add(_QUOTES, [*_CITATION, "Finding"], quotes, (9, 34, 8, 10, 10, 80, 10, 12, 12, 9))
    for row, values in enumerate(quotes, 2):
        sheet.link(listed.cell(row, len(_CITATION) + 1), _FINDINGS, int(values[-1] or 0) + 1)
    sources = [(name, wording.page_list(pages)) for name, pages in wording.cited_documents(findings)]
    book.add("Sources", ("Document", "Pages"), sources, (50, 30))
    book.add("Coverage", ("Finding", "Coverage"), _coverage(findings), (9, 100))
    book.add("Provenance", ("Finding", "Item", "Value"), _all_provenance(report, findings), (9, 24, 70))
    book.save(path)


def _finding(number: int, finding: FindingRecord) -> list[sheet.Value]:
    status = wording.STATUS.get(finding.status, finding.status)
    said = (wording.answer_text(finding), status)
    return [number, finding.question, *said, finding.confidence, ", ".join(finding.tags), finding.note]


def _citation(citation: CitationRecord | None) -> list[sheet.Value]:
    if citation is None:
        return [None] * len(_CITATION)
    place: list[sheet.Value] = [
        citation.number,
        citation.document,
        citation.page,
        citation.start,
        citation.end,
    ]
    said = [citation.quote.strip(), "yes" if citation.verified else "NO"]
    return [*place, *said, "yes" if citation.recognised else "no", citation.recognised_confidence]


def _marks(finding: FindingRecord) -> str:
    return " ".join(f"[{citation.number}]" for citation in finding.citations)


def _provenance(finding: FindingRecord) -> dict[str, str]:
    return dict(wording.provenance_rows(finding))


def _coverage(findings: list[FindingRecord]) -> list[sheet.Row]:
    return [(n, line) for n, finding in enumerate(findings, 1) for line in wording.coverage_lines(finding)]


def _all_provenance(report: Report, findings: list[FindingRecord]) -> list[sheet.Row]:
    rows: list[sheet.Row] = [(None, "Report", report.heading), (None, "Exported", wording.moment(utc_now()))]
    if report.introduction:
        rows.append((None, "Introduction", report.introduction))
    return rows + [
        (n, *row) for n, finding in enumerate(findings, 1) for row in wording.provenance_rows(finding)
    ]
