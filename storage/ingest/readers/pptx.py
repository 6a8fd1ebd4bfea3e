"""PowerPoint presentations: each slide a page, with its tables, charts, diagrams and notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import one_line
from storage.ingest.parsed import ParsedDocument, ParseFailure
from storage.ingest.readers.source import Source
from storage.ingest.readers.zipped import check_container
from storage.ingest.tables import TableGrid, row_line

_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
_DEEPEST_GROUP = 20
_MOST_SHAPES = 5_000


def read(source: Source) -> ParsedDocument:
    """Read a PPTX file."""
    import pptx

    check_container(source.path, source.limits)
    builder = source.builder(paged=True)
    try:
        presentation = pptx.Presentation(str(source.path))
        builder.title = presentation.core_properties.title or ""
        builder.language = presentation.core_properties.language or ""
        for number, slide in enumerate(presentation.slides, 1):
            _add_slide(slide, number, builder)
    except (ParseFailure, MemoryError, RecursionError):
        raise
    except Exception as error:  # python-pptx meets a damaged file with any exception
        reason = f"{type(error).__name__}: {error}"[:150]
        hint = "Open it in PowerPoint or LibreOffice, save it anew, and add that."
        raise ParseFailure("failed", f"The presentation is damaged ({reason})", hint) from error
    return source.finish(builder)


def _add_slide(slide: Any, number: int, builder: TextBuilder) -> None:
    if slide._element.get("show") == "0":
        builder.warn(f"slide {number} is hidden; it was read like the others")
    title = slide.shapes.title
    heading = one_line(title.text_frame.text) if title is not None else ""
    builder.title = builder.title or heading
    builder.heading(1, heading)
    pictures = texts = 0
    for shape in _in_order(slide.shapes, 0):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        pictures += hasattr(shape, "image")
        texts += _add_shape(shape, builder)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        builder.paragraph(f"Notes: {notes}" if notes else "")
    if pictures and not texts and not heading:
        builder.warn(f"slide {number}: image without text, needs OCR")
    builder.end_page()


def _in_order(shapes: Any, depth: int) -> Iterator[Any]:
    """Shapes from the top down, then from the left, those of groups in the group's place."""
    placed = sorted(list(shapes)[:_MOST_SHAPES], key=lambda shape: (shape.top or 0, shape.left or 0))
    for shape in placed:
        if hasattr(shape, "shapes") and depth < _DEEPEST_GROUP:
            yield from _in_order(shape.shapes, depth + 1)
        else:
            yield shape


def _add_shape(shape: Any, builder: TextBuilder) -> bool:
    """Add what a shape says; whether it says anything."""
    builder.end_rows()
    if getattr(shape, "has_table", False):
        _add_table(shape.table, builder)
    elif getattr(shape, "has_chart", False):
        _add_chart(shape.chart, builder)
    elif shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            builder.row(paragraph.text.replace("\v", " "))
        return bool(shape.text_frame.text.strip())
    else:
        return _add_diagram(shape, builder)
    return True


def _add_table(table: Any, builder: TextBuilder) -> None:
    grid = TableGrid()
    for number, row in enumerate(table.rows):
        for cell in row.cells:
            if not cell.is_spanned:
                header = number == 0 and bool(table.first_row)
                grid.add_cell(one_line(cell.text), header, cell.span_width, cell.span_height)
        grid.end_row()
    for line in grid.lines():
        builder.row(line)


def _add_chart(chart: Any, builder: TextBuilder) -> None:
    """A chart's figures as rows: its categories with the value of every series."""
    if chart.has_title and chart.chart_title.has_text_frame:
        builder.row(chart.chart_title.text_frame.text)
    for plot in chart.plots:
        header = ["category", *(series.name or "" for series in plot.series)]
        columns = [list(series.values) for series in plot.series]
        for index, category in enumerate(plot.categories):
            values = [column[index] if index < len(column) else None for column in columns]
            cells = ["" if value is None else f"{value:.12g}" for value in values]
            builder.row(row_line(header, [str(category), *cells]))


def _add_diagram(shape: Any, builder: TextBuilder) -> bool:
    """The words of a SmartArt diagram; its arrows cannot be read."""
    from lxml import etree

    mark = next(shape._element.iter(_DIAGRAM), None)
    if mark is None or not mark.get(_RELATION):
        return False
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.fromstring(shape.part.related_part(mark.get(_RELATION)).blob, parser)
    texts = ["".join(item.itertext("{*}t")) for item in root.iter("{*}p")]
    for text in texts:
        builder.row(text)
    return any(text.strip() for text in texts)
