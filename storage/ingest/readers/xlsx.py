"""Excel workbooks: every row a line that names its columns, a sheet's name as the heading above."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from storage.ingest.builder import TextBuilder
from storage.ingest.parsed import ParsedDocument, ParseFailure
from storage.ingest.readers.rows import RowWriter
from storage.ingest.readers.source import Source
from storage.ingest.readers.zipped import check_container

_MERGED = re.compile(
    rb"<(?:\w{1,20}:)?mergeCell\s[^>]{0,200}?ref=\"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})\""
)
_FORMULA = re.compile(rb"<(?:\w{1,20}:)?f[\s>/]")
_CURRENCY = re.compile(r"\[\$([^\]-]{1,4})[^\]]{0,20}\]|([$€£¥])")
_BLOCK = 1 << 20
_OVERLAP = 300
_MOST_MERGED = 20_000
_MOST_COLUMNS = 20_000
Span = tuple[int, int, int, int]  # first row, last row, first column, last column


def read(source: Source) -> ParsedDocument:
    """Read an XLSX or XLSM file: stored values, never macros; formulas without a stored value are shown."""
    import openpyxl

    check_container(source.path, source.limits)
    builder = source.builder()
    try:
        with zipfile.ZipFile(source.path) as archive:
            parts = _Parts(archive)
        with source.path.open("rb") as one, source.path.open("rb") as two:
            values = openpyxl.load_workbook(one, read_only=True, data_only=True, keep_links=False)
            formulas = openpyxl.load_workbook(two, read_only=True) if parts.with_formulas else None
            builder.title = values.properties.title or ""
            for sheet in values.worksheets:
                _add_sheet(sheet, formulas, parts.merged.get(sheet.title, []), builder)
    except (ParseFailure, MemoryError, RecursionError):
        raise
    except Exception as error:  # openpyxl meets a damaged file with any exception
        raise _damaged(error) from error
    return source.finish(builder)


def _damaged(error: BaseException) -> ParseFailure:
    reason = f"{type(error).__name__}: {error}"[:150]
    hint = "Open it in Excel or LibreOffice, save it anew, and add that."
    return ParseFailure("failed", f"The Excel workbook is damaged ({reason})", hint)


def _add_sheet(sheet: Any, formulas: Any, merged: list[Span], builder: TextBuilder) -> None:
    builder.end_part()
    if sheet.sheet_state != "visible":
        builder.warn(f"the sheet {sheet.title!r} is hidden; it was read like the others")
    other = formulas[sheet.title] if formulas is not None else None
    writer = RowWriter(builder, sheet.title)
    uncalculated = 0
    wide: dict[int, list[Span]] = {}
    for span in merged:
        wide.setdefault(span[0], []).append(span)
    for number, (row, texts) in enumerate(_rows(sheet, other), 1):
        uncalculated += sum(text.startswith("=") for text in texts) if other is not None else 0
        _fill_merged(texts, wide.get(number, []))
        if len(row) > _MOST_COLUMNS:
            builder.warn(f"a row has more than {_MOST_COLUMNS:,} cells; the rest of it was left out")
        writer.add(texts[:_MOST_COLUMNS])
    writer.end()
    if uncalculated:
        builder.warn(
            f"{uncalculated:,} formulas of the sheet {sheet.title!r} have no stored result and are shown as "
            "formulas: open the file in Excel or LibreOffice and save it to have them calculated"
        )


def _rows(sheet: Any, formulas: Any) -> Iterator[tuple[Any, list[str]]]:
    """Each row's cells and their texts; a cell without a value shows its formula if it has one."""
    for each in (sheet, formulas):
        if each is not None:
            each.reset_dimensions()  # what the file says of its size may be wrong
    others = formulas.iter_rows() if formulas is not None else None
    for row in sheet.iter_rows():
        texts = [cell_text(cell) for cell in row]
        for column, cell in enumerate(next(others, ()) if others is not None else ()):
            if column < len(texts) and not texts[column] and cell.data_type == "f":
                texts[column] = str(getattr(cell.value, "text", cell.value) or "")[:500]
        yield row, texts


def _fill_merged(texts: list[str], merged: list[Span]) -> None:
    """A cell over several columns counts for each of them. Rows below a tall cell stay as they are."""
    for _, _, left, right in merged:
        if left < len(texts) and right - left < 100:
            texts += [""] * (right + 1 - len(texts))
            texts[left : right + 1] = [texts[left]] * (right + 1 - left)


def cell_text(cell: Any) -> str:
    """A cell's value as people read it: dates by the calendar, shares in per cent, currencies named."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if value.time() == time() else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int | float):
        return _number(value, cell.number_format or "")
    return str(value)


def _number(value: float, shown_as: str) -> str:
    if "%" in shown_as:
        return f"{value * 100:.10g} %"
    figure = str(value) if isinstance(value, int) else f"{value:.12g}"
    currency = _CURRENCY.search(shown_as)
    return f"{currency[1] or currency[2]} {figure}" if currency else figure


class _Parts:
    """What openpyxl does not tell while it streams: merged cells by sheet, and whether there are formulas."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.merged: dict[str, list[Span]] = {}
        self.with_formulas = False
        for title, path in _sheet_paths(archive):
            self.merged[title] = self._scan(archive, path)

    def _scan(self, archive: zipfile.ZipFile, path: str) -> list[Span]:
        spans: dict[Span, None] = {}
        before = b""
        with archive.open(path) as part:
            while block := part.read(_BLOCK):
                block = before + block
                self.with_formulas = self.with_formulas or bool(_FORMULA.search(block))
                for match in _MERGED.finditer(block):
                    left, top, right, bottom = (group.decode() for group in match.groups())
                    spans[(int(top), int(bottom), _column(left), _column(right))] = None
                    if len(spans) >= _MOST_MERGED:
                        return list(spans)
                before = block[-_OVERLAP:]
        return list(spans)


def _column(letters: str) -> int:
    """0 for A, 26 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _sheet_paths(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """(title, part) of each sheet."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    links = etree.fromstring(archive.read("xl/_rels/workbook.xml.rels"), parser)
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    book = etree.fromstring(archive.read("xl/workbook.xml"), parser)
    found = []
    for sheet in book.iter("{*}sheet"):
        link = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), "")
        path = posixpath.normpath(posixpath.join("xl", targets.get(link, ""))).lstrip("/")
        if path in archive.namelist():
            found.append((sheet.get("name", ""), path))
    return found
