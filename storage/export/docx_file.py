"""Findings as a Word document: headings, linked citation numbers, quotes, coverage, provenance."""

from __future__ import annotations

import re
from pathlib import Path

from docx import Document as new_document
from docx.document import Document
from docx.shared import Pt, RGBColor
from docx.text.paragraph import Paragraph

from storage.columns import utc_now
from storage.export import docx_parts, wording
from storage.export.record import CitationRecord, FindingRecord

_MUTED = RGBColor(0x59, 0x63, 0x6E)
_WARNING = RGBColor(0xB4, 0x23, 0x18)
# XML 1.0 cannot hold these, not even escaped.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def write(findings: list[FindingRecord], path: Path) -> None:
    """Write the whole document."""
    document = new_document()
    docx_parts.set_up(document, _legal(wording.heading(findings)))
    document.add_heading(_legal(wording.heading(findings)), 0)
    count = f"{len(findings)} finding" + ("" if len(findings) == 1 else "s")
    _muted(document.add_paragraph(), f"{count}, exported {wording.moment(utc_now())}")
    for number, finding in enumerate(findings, 1):
        _finding(document, number, finding)
    _documents_cited(document, findings)
    document.save(str(path))


def _finding(document: Document, number: int, finding: FindingRecord) -> None:
    headline, question = wording.headline(finding.question)
    document.add_heading(_legal(f"{number}. {headline}"), 1)
    if question:
        document.add_paragraph(_legal(question))
    numbers = [citation.number for citation in finding.citations]
    for part in re.split(r"\n\s*\n", _legal(wording.answer_text(finding))):
        paragraph = document.add_paragraph()
        for text, cited in wording.answer_pieces(part, numbers):
            if cited is None:
                paragraph.add_run(text)
            else:
                docx_parts.add_link(paragraph, text, _bookmark(number, cited))
    _muted(document.add_paragraph(), wording.status_line(finding))
    if finding.citations:
        document.add_heading("Sources", 2)
        for citation in finding.citations:
            _source(document, number, citation)
    document.add_heading("Coverage", 2)
    for line in wording.coverage_lines(finding):
        document.add_paragraph(_legal(line), style="List Bullet")
    document.add_heading("Provenance", 2)
    docx_parts.add_table(
        document, [(label, _legal(value)) for label, value in wording.provenance_rows(finding)]
    )


def _source(document: Document, number: int, citation: CitationRecord) -> None:
    paragraph = document.add_paragraph()
    paragraph.paragraph_format.keep_with_next = True
    name = _bookmark(number, citation.number)
    docx_parts.add_bookmark(paragraph, f"[{citation.number}]", name, number * 1000 + citation.number)
    paragraph.add_run(_legal(f" {_line(citation.document)}, page {citation.page}"))
    state = paragraph.add_run(f"  {wording.quote_state(citation)}")
    state.font.size = Pt(9)
    state.font.color.rgb = _MUTED if citation.verified else _WARNING
    document.add_paragraph(_legal(citation.quote.strip()), style="Quote")


def _documents_cited(document: Document, findings: list[FindingRecord]) -> None:
    cited = wording.cited_documents(findings)
    if cited:
        document.add_heading("Documents cited", 1)
    for name, pages in cited:
        document.add_paragraph(_legal(f"{_line(name)}, {wording.page_list(pages)}"), style="List Number")


def _muted(paragraph: Paragraph, text: str) -> None:
    run = paragraph.add_run(_legal(text))
    run.italic = True
    run.font.color.rgb = _MUTED


def _bookmark(finding: int, citation: int) -> str:
    return f"source_{finding}_{citation}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
