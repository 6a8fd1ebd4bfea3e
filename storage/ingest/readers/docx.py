"""Word documents: headings, paragraphs, numbered items and tables in document order, footnotes at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import one_line
from storage.ingest.parsed import ParsedDocument, ParseFailure
from storage.ingest.readers.source import Source
from storage.ingest.readers.word_numbers import Numbering
from storage.ingest.readers.zipped import ZIP_DAMAGE, check_container
from storage.ingest.tables import TableGrid

if TYPE_CHECKING:
    from docx.document import Document

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_NOTES = (("footnotes", "footnote", "Footnotes"), ("endnotes", "endnote", "Endnotes"))
_SKIPPED = frozenset(
    f"{_W}{name}" for name in ("del", "moveFrom", "instrText", "delText", "rPr", "pPr", "tblPr", "sectPr")
) | {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"}
_CONTAINERS = frozenset(
    f"{_W}{name}" for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag")
)


def read(source: Source) -> ParsedDocument:
    """Read a DOCX file."""
    check_container(source.path, source.limits)
    document = _open(source)
    builder = source.builder()
    builder.title = document.core_properties.title or ""
    builder.language = document.core_properties.language or ""
    _Body(document, builder).add_all()
    return source.finish(builder)


def _open(source: Source) -> Document:
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import XMLSyntaxError

    try:
        return docx.Document(str(source.path))
    except (OpcError, XMLSyntaxError, KeyError, ValueError, *ZIP_DAMAGE) as error:
        reason = str(error)[:150]
        hint = "Open it in Word or LibreOffice, save it anew, and add that."
        raise ParseFailure("failed", f"The Word document is damaged ({reason})", hint) from error


class _Body:
    """Walks the document's body."""

    def __init__(self, document: Document, builder: TextBuilder) -> None:
        self._document = document
        self._builder = builder
        self._styles = {style.style_id: style for style in document.styles}
        self._numbering = Numbering(document)

    def add_all(self) -> None:
        self._add_blocks(self._document.element.body)
        for part_name, tag, heading in _NOTES:
            self._add_notes(part_name, tag, heading)

    def _add_blocks(self, parent: Any) -> None:
        for element in parent:
            if element.tag == f"{_W}p":
                self._add_paragraph(element)
            elif element.tag == f"{_W}tbl":
                self._add_table(element)
            elif element.tag in _CONTAINERS:
                self._add_blocks(element)

    def _add_paragraph(self, element: Any) -> None:
        text = paragraph_text(element)
        level = self._heading_level(element)
        number = self._numbering.label(element) if text.strip() else ""
        if level == 0:
            self._builder.title = self._builder.title or one_line(text)
        if level is not None:
            self._builder.heading(level, f"{number} {text}")
        elif number:
            self._builder.row(f"{number} {text}")
        else:
            self._builder.paragraph(text)

    def _heading_level(self, element: Any) -> int | None:
        """Level 1 to 9 for headings, 0 for the title, None for other paragraphs; styles may be derived."""
        mark = element.find(f"{_W}pPr/{_W}pStyle")
        style = self._styles.get(mark.get(f"{_W}val")) if mark is not None else None
        for _ in range(10):
            if style is None:
                return None
            name = (style.name or "").lower()
            if name == "title":
                return 0
            if name.startswith("heading ") and name[8:].isdigit():
                return int(name[8:])
            style = getattr(style, "base_style", None)
        return None

    def _add_table(self, table: Any) -> None:
        grid = TableGrid()
        for row in table.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl")) is not table:
                continue
            header = row.find(f"{_W}trPr/{_W}tblHeader") is not None
            for cell in _cells(row):
                grid.add_cell(_cell_text(cell), header, _grid_span(cell))
            grid.end_row()
        self._builder.end_rows()
        if grid.columns < 2:
            for row_cells in grid.rows:
                self._builder.paragraph("\n".join(row_cells))
        else:
            for line in grid.lines():
                self._builder.row(line)
        self._builder.end_rows()

    def _add_notes(self, part_name: str, tag: str, heading: str) -> None:
        from lxml import etree

        for relation in self._document.part.rels.values():
            if relation.is_external or not relation.reltype.endswith(f"/{part_name}"):
                continue
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            root = etree.fromstring(relation.target_part.blob, parser)
            notes = [note for note in root.findall(f"{_W}{tag}") if not note.get(f"{_W}type")]
            texts = [(note.get(f"{_W}id"), one_line(paragraph_text(note))) for note in notes]
            if any(text for _, text in texts):
                self._builder.heading(1, heading)
            for number, text in texts:
                self._builder.row(f"[{number}] {text}" if text else "")


def _cells(row: Any) -> list[Any]:
    cells = []
    for child in row:
        if child.tag == f"{_W}tc":
            cells.append(child)
        elif child.tag in _CONTAINERS:
            cells += list(child.iter(f"{_W}tc"))
    return cells


def _grid_span(cell: Any) -> int:
    mark = cell.find(f"{_W}tcPr/{_W}gridSpan")
    value = mark.get(f"{_W}val", "1") if mark is not None else "1"
    return int(value) if value.isdigit() and len(value) < 4 else 1


def _cell_text(cell: Any) -> str:
    return one_line("\n".join(paragraph_text(paragraph) for paragraph in cell.iter(f"{_W}p")))


def paragraph_text(element: Any) -> str:
    """All shown text under an element: with insertions, links and text boxes, without deletions."""
    pieces: list[str] = []
    stack = [element]
    while stack:
        node = stack.pop()
        if node.tag in _SKIPPED:
            continue
        name = node.tag.rsplit("}", 1)[-1] if isinstance(node.tag, str) else ""
        if name == "t":
            pieces.append(node.text or "")
        elif name in ("tab", "ptab"):
            pieces.append("\t")
        elif name in ("br", "cr"):
            pieces.append("\n")
        elif name == "noBreakHyphen":
            pieces.append("-")
        elif name in ("footnoteReference", "endnoteReference"):
            pieces.append(f"[{node.get(f'{_W}id')}]")
        else:
            stack.extend(reversed(node))
    return "".join(pieces)
