"""Pieces of a Word document that python-docx has no call for."""

from __future__ import annotations

from typing import Any

from docx.document import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt
from docx.styles.style import ParagraphStyle
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from storage.columns import utc_now

_LINK_COLOUR = "0B5CAD"
_COLUMNS = (Cm(5.0), Cm(11.0))


def set_up(document: Document, title: str) -> None:
    """Page, fonts, properties and a footer with page numbers."""
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21.0), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.5)
    section.top_margin = section.bottom_margin = Cm(2.2)
    document.styles["Normal"].font.size = Pt(11)
    _bar_beside_quotes(document)
    properties = document.core_properties
    properties.title, properties.author, properties.comments = title[:255], "Engram", ""
    properties.created = properties.modified = utc_now().replace(tzinfo=None)
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    footer.add_run("Page ")
    _add_field(footer, "PAGE")
    footer.add_run(" of ")
    _add_field(footer, "NUMPAGES")


def add_link(paragraph: Paragraph, text: str, bookmark: str) -> None:
    """A run that jumps to a bookmark of the same document."""
    link = OxmlElement("w:hyperlink")
    link.set(qn("w:anchor"), bookmark)
    link.set(qn("w:history"), "1")
    run = Run(OxmlElement("w:r"), paragraph)
    run.text = text
    colour = OxmlElement("w:color")
    colour.set(qn("w:val"), _LINK_COLOUR)
    run._r.get_or_add_rPr().append(colour)
    link.append(run._r)
    paragraph._p.append(link)


def add_bookmark(paragraph: Paragraph, text: str, name: str, number: int) -> None:
    """A bold run that `add_link` can point at; `number` is unique in the document."""
    start, end = OxmlElement("w:bookmarkStart"), OxmlElement("w:bookmarkEnd")
    for element in (start, end):
        element.set(qn("w:id"), str(number))
    start.set(qn("w:name"), name)
    paragraph._p.append(start)
    paragraph.add_run(text).bold = True
    paragraph._p.append(end)


def add_table(document: Document, rows: list[tuple[str, str]]) -> None:
    """A two-column table: what, and the value."""
    table = document.add_table(rows=0, cols=2)
    table.style = document.styles["Table Grid"]
    table.autofit = False
    for label, value in rows:
        cells = table.add_row().cells
        for cell, width, text in zip(cells, _COLUMNS, (label, value), strict=True):
            cell.width = width
            paragraph = cell.paragraphs[0]
            paragraph.paragraph_format.space_after = Pt(2)
            paragraph.add_run(text).font.size = Pt(10)
        cells[0].paragraphs[0].runs[0].bold = True
        cells[0]._tc.get_or_add_tcPr().append(_element("w:shd", val="clear", color="auto", fill="EEF2F6"))


def _bar_beside_quotes(document: Document) -> None:
    """Quotes stand apart: indented, with a bar on the left, upright as they are in the source."""
    style = document.styles["Quote"]
    assert isinstance(style, ParagraphStyle)
    style.font.italic = False
    style.paragraph_format.left_indent = Cm(0.8)
    borders = OxmlElement("w:pBdr")
    borders.append(_element("w:left", val="single", sz="18", space="10", color="B9C4D0"))
    properties = style.element.get_or_add_pPr()
    properties.insert_element_before(borders, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:jc", "w:outlineLvl")


def _element(tag: str, **attributes: str) -> Any:
    element = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(f"w:{name}"), value)
    return element


def _add_field(paragraph: Paragraph, code: str) -> None:
    """A value that the word processor works out, such as the page number."""
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), code)
    run = Run(OxmlElement("w:r"), paragraph)
    run.text = "1"
    field.append(run._r)
    paragraph._p.append(field)
