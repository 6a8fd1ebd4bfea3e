"""Findings as a Word document: headings, linked citation numbers, coverage, provenance, quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from docx import Document as new_document
from docx.document import Document
from docx.shared import Pt, RGBColor
from docx.text.paragraph import Paragraph

from storage.export import blocks, docx_parts, wording
from storage.export.record import CitationRecord, Report

_MUTED = RGBColor(0x59, 0x63, 0x6E)
_WARNING = RGBColor(0xB4, 0x23, 0x18)
# XML 1.0 cannot hold these, not even escaped.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def write(report: Report, path: Path) -> None:
    """Write the whole document."""
    document = new_document()
    docx_parts.set_up(document, _legal(report.heading))
    for block in blocks.build(report):
        _add(document, block)
    document.save(str(path))


def _add(document: Document, block: blocks.Block) -> None:
    match block:
        case blocks.Title(text):
            document.add_heading(_legal(text), 0)
        case blocks.Heading(level, text):
            document.add_heading(_legal(text), level)
        case blocks.Text(pieces, muted):
            _text(document.add_paragraph(), pieces, muted)
        case blocks.Source(citation):
            paragraph = document.add_paragraph()
            docx_parts.add_link(paragraph, f"[{citation.number}]", _bookmark(citation.number))
            _place(paragraph, citation)
        case blocks.Quote(citation):
            _quote(document, citation)
        case blocks.Items(lines, numbered):
            for line in lines:
                document.add_paragraph(_legal(line), style="List Number" if numbered else "List Bullet")
        case blocks.Table(rows):
            docx_parts.add_table(document, [(label, _legal(value)) for label, value in rows])


def _text(paragraph: Paragraph, pieces: Sequence[tuple[str, int | None]], muted: bool) -> None:
    for text, cited in pieces:
        if cited is not None:
            docx_parts.add_link(paragraph, text, _bookmark(cited))
        elif muted:
            _muted(paragraph, text)
        else:
            paragraph.add_run(_legal(text))


def _quote(document: Document, citation: CitationRecord) -> None:
    paragraph = document.add_paragraph()
    paragraph.paragraph_format.keep_with_next = True
    name = _bookmark(citation.number)
    docx_parts.add_bookmark(paragraph, f"[{citation.number}]", name, citation.number)
    _place(paragraph, citation)
    document.add_paragraph(_legal(citation.quote.strip()), style="Quote")


def _place(paragraph: Paragraph, citation: CitationRecord) -> None:
    paragraph.add_run(_legal(f" {blocks.place(citation)}"))
    state = paragraph.add_run(f"  {wording.quote_state(citation)}")
    state.font.size = Pt(9)
    state.font.color.rgb = _MUTED if citation.verified else _WARNING


def _muted(paragraph: Paragraph, text: str) -> None:
    run = paragraph.add_run(_legal(text))
    run.italic = True
    run.font.color.rgb = _MUTED


def _bookmark(citation: int) -> str:
    return f"quote_{citation}"


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
