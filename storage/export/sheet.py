"""Rows for spreadsheets: nothing in them acts as a formula, nothing is longer than a cell can be."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Value = str | int | float | bool | None
Row = Sequence[Value]

LONGEST = 32_000  # Excel takes 32,767 characters a cell
_FORMULA = re.compile(r"^[\s\x00]*[=+\-@\t\r＝＋－＠]")
# Spreadsheets are XML 1.0, which cannot hold these.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def defused(value: Value) -> Value:
    """A value that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before
    it (OWASP, CSV injection). Numbers stay numbers.
    """
    if not isinstance(value, str):
        return value
    text = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", value)
    text = text if len(text) <= LONGEST else text[:LONGEST] + " …"
    return f"'{text}" if _FORMULA.match(text) else text


def write_csv(path: Path, head: Row, rows: Iterable[Row]) -> None:
    """A CSV file in UTF-8 with the byte-order mark that Excel needs to see that it is."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        for row in (head, *rows):
            writer.writerow(["" if value is None else defused(value) for value in row])


class Workbook:
    """An XLSX file in the making: sheets with a heading row, links from cell to cell."""

    def __init__(self) -> None:
        import openpyxl

        self._book = openpyxl.Workbook()
        self._book.remove(self._book.active)

    def add(self, name: str, head: Row, rows: Iterable[Row], widths: Sequence[int]) -> Any:
        """A sheet of these rows below a heading that stays in view, with filters; returns it."""
        from openpyxl.styles import Alignment, Font, PatternFill
        from openpyxl.utils import get_column_letter

        sheet = self._book.create_sheet(name)
        for row in (head, *rows):
            sheet.append([defused(value) for value in row])
        for cells in sheet.iter_rows():
            for cell in cells:
                cell.alignment = Alignment(vertical="top", wrap_text=True)
        for cell in sheet[1]:
            cell.font = Font(bold=True)
            cell.fill = PatternFill("solid", fgColor="EEF2F6")
        for number, width in enumerate(widths, 1):
            sheet.column_dimensions[get_column_letter(number)].width = width
        sheet.freeze_panes = "B2" if len(head) > 2 else "A2"
        sheet.auto_filter.ref = sheet.dimensions
        return sheet

    def save(self, path: Path) -> None:
        """Write the file."""
        with path.open("wb") as file:
            self._book.save(file)


def link(cell: Any, sheet: str, row: int) -> None:
    """Make a cell lead to a row of another sheet."""
    from openpyxl.styles import Font
    from openpyxl.worksheet.hyperlink import Hyperlink

    cell.hyperlink = Hyperlink(ref=cell.coordinate, location=f"'{sheet}'!A{row}")
    cell.font = Font(color="0B5CAD", underline="single")


def fill(cell: Any, colour: str) -> None:
    """Give a cell a background."""
    from openpyxl.styles import PatternFill

    cell.fill = PatternFill("solid", fgColor=colour)
