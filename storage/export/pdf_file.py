"""Findings as a PDF: linked citation numbers, coverage, provenance, quotes; any script that has a font."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.platypus import (
    KeepTogether,
    ListFlowable,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from storage.export import blocks, wording
from storage.export.pdf_fonts import BOX, Fonts, load_fonts, runs
from storage.export.record import CitationRecord, Report

_INK, _SOFT, _BAD, _LINK, _LINE = "#23262b", "#5f656d", "#982f2f", "#0b5cad", "#c9c4b6"
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LONGEST_CELL = 1_500  # characters; a table's cell cannot run over a page's end
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": "<br/>", '"': "&quot;"}


def write(report: Report, path: Path) -> None:
    """Write the whole document."""
    Writer(load_fonts()).write(report, path)


class Writer:
    """Turns the parts of a report into reportlab's; remembers whether something could not be drawn."""

    def __init__(self, fonts: Fonts) -> None:
        self._fonts = fonts
        self._undrawn = self._right_to_left = False
        base = ParagraphStyle(
            "base", fontName=fonts.text, fontSize=10, leading=14.5, textColor=HexColor(_INK)
        )
        made: dict[str, dict[str, Any]] = {
            "text": {"spaceAfter": 6},
            "title": {"fontName": fonts.bold, "fontSize": 19, "leading": 24, "spaceAfter": 6},
            "1": {"fontName": fonts.bold, "fontSize": 13, "leading": 17, "spaceBefore": 18, "spaceAfter": 6,
                  "keepWithNext": 1},
            "2": {"fontName": fonts.bold, "fontSize": 9, "leading": 12, "spaceBefore": 9, "spaceAfter": 3,
                  "textColor": HexColor(_SOFT), "keepWithNext": 1},
            "muted": {"fontSize": 9, "leading": 12.5, "textColor": HexColor(_SOFT), "spaceAfter": 4},
            "quote": {"leftIndent": 14, "spaceAfter": 10, "borderPadding": (1, 0, 1, 8)},
            "source": {"fontSize": 9.5, "leading": 13, "spaceAfter": 1},
            "item": {"fontSize": 9.5, "leading": 13},
            "cell": {"fontSize": 8.5, "leading": 11.5},
            "footer": {"fontSize": 8, "alignment": TA_CENTER, "textColor": HexColor(_SOFT)},
        }  # fmt: skip
        self._styles = {name: ParagraphStyle(name, parent=base, **values) for name, values in made.items()}

    def write(self, report: Report, path: Path) -> None:
        """Lay out and write."""
        story = [part for block in blocks.build(report) for part in self._parts(block)]
        story += self._remarks()
        # reportlab writes to a stream as it is told; a path it would open under the person's own umask
        with path.open("wb") as file:
            title = _ILLEGAL.sub("", report.heading)[:255]
            margins = {
                "leftMargin": 2.4 * cm,
                "rightMargin": 2.4 * cm,
                "topMargin": 2 * cm,
                "bottomMargin": 2 * cm,
            }
            document = SimpleDocTemplate(
                file, pagesize=A4, title=title, author="Engram", lang="en", **margins
            )
            document.build(story, onFirstPage=self._footer, onLaterPages=self._footer)

    def markup(self, text: str) -> str:
        """Text as reportlab's markup, nothing in it interpreted, each character in a font that has it."""
        parts = []
        for name, letters in runs(_ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text).expandtabs(4), self._fonts):
            if name is None:
                self._undrawn = True
                letters, name = BOX * len(letters), self._fonts.name_for(BOX) or self._fonts.text
            self._right_to_left |= any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in letters)
            escaped = "".join(_MARKUP.get(letter, letter) for letter in letters)
            own = name in (self._fonts.text, self._fonts.bold)
            parts.append(escaped if own else f'<font name="{name}">{escaped}</font>')
        return "".join(parts)

    def _parts(self, block: blocks.Block) -> Iterator[Any]:
        match block:
            case blocks.Title(text):
                yield self._paragraph(self.markup(text), "title")
            case blocks.Heading(level, text):
                yield self._paragraph(self.markup(text.upper() if level == 2 else text), str(level))
            case blocks.Text(pieces, muted):
                yield self._paragraph("".join(map(self._piece, pieces)), "muted" if muted else "text")
            case blocks.Source(citation):
                number = f'<a href="#quote-{citation.number}" color="{_LINK}">[{citation.number}]</a>'
                yield self._paragraph(f"{number} {self._place(citation)}", "source")
            case blocks.Quote(citation):
                yield from self._quote(citation)
            case blocks.Items(lines, numbered):
                rows = [self._paragraph(self.markup(line), "item") for line in lines]
                kind = {"bulletType": "1"} if numbered else {"bulletType": "bullet", "start": "•"}
                yield ListFlowable(
                    rows, leftIndent=14, bulletFontName=self._fonts.text, bulletFontSize=9, **kind
                )
                yield Spacer(1, 4)
            case blocks.Table(rows):
                yield self._table(rows)

    def _paragraph(self, markup: str, style: str) -> Paragraph:
        return Paragraph(markup, self._styles[style])

    def _piece(self, piece: tuple[str, int | None]) -> str:
        text, cited = piece
        markup = self.markup(text)
        return markup if cited is None else f'<a href="#quote-{cited}" color="{_LINK}">{markup}</a>'

    def _place(self, citation: CitationRecord) -> str:
        colour = _SOFT if citation.verified else _BAD
        state = f'<font color="{colour}" size="8.5">{wording.quote_state(citation)}</font>'
        return f"{self.markup(blocks.place(citation))}  {state}"

    def _quote(self, citation: CitationRecord) -> Iterator[Any]:
        number = f'<a name="quote-{citation.number}"/>[{citation.number}]'
        head = self._paragraph(f"{number} {self._place(citation)}", "source")
        quote = self._paragraph(self.markup(citation.quote.strip()), "quote")
        # A short quote stays on one page with its place; a long one may run on.
        yield from [KeepTogether([head, quote])] if len(citation.quote) < 1_500 else [head, quote]

    def _table(self, rows: Sequence[tuple[str, str]]) -> Table:
        cells = [
            [self._paragraph(self.markup(text[:_LONGEST_CELL]), "cell") for text in (label, value)]
            for label, value in rows
        ]
        style = TableStyle(
            [("LINEABOVE", (0, 0), (-1, -1), 0.4, HexColor(_LINE)), ("VALIGN", (0, 0), (-1, -1), "TOP")]
            + [("LEFTPADDING", (0, 0), (0, -1), 0), ("TOPPADDING", (0, 0), (-1, -1), 2)]
            + [("BOTTOMPADDING", (0, 0), (-1, -1), 3)]
        )
        return Table(cells, colWidths=(4.6 * cm, 11.6 * cm), style=style, hAlign="LEFT")

    def _remarks(self) -> Iterator[Any]:
        if self._undrawn:
            said = (
                "Characters for which this machine has no font are shown as a box. Other formats hold them."
            )
            yield self._paragraph(self.markup(said), "muted")
        if self._right_to_left:
            said = (
                "Text written from right to left stands here letter by letter. HTML and DOCX show it right."
            )
            yield self._paragraph(self.markup(said), "muted")

    def _footer(self, canvas: Any, document: Any) -> None:
        line = self._paragraph(f"Page {document.page}", "footer")
        line.wrap(document.width, 20)
        line.drawOn(canvas, document.leftMargin, 1.1 * cm)
