"""Rows of a sheet as they come: titles, headers and data told apart, blank rows between tables."""

from __future__ import annotations

from collections.abc import Sequence

from storage.ingest.builder import TextBuilder
from storage.ingest.tables import count_header_rows, looks_like_header, merge_headers, row_line

_LOOK_AHEAD = 12
_LONGEST_LABEL = 200


class RowWriter:
    """Takes a sheet's rows one after another and writes each with its columns' names; memory is constant."""

    def __init__(self, builder: TextBuilder, title: str = "") -> None:
        self._builder = builder
        self._title = title
        self._waiting: list[list[str]] = []
        self._header: list[str] = []
        self._decided = False

    def add(self, row: Sequence[str]) -> None:
        """Add the next row; a blank one ends a table."""
        cells = list(row)
        if not any(cell.strip() for cell in cells):
            self.end()
            return
        if self._title:
            self._builder.heading(1, self._title)
            self._title = ""
        if self._decided:
            self._write(cells)
            return
        self._waiting.append(cells)
        if len(self._waiting) >= _LOOK_AHEAD:
            self._decide()

    def end(self) -> None:
        """The table ends here; the next row may be a header."""
        if self._waiting:
            self._decide()
        self._decided = False
        self._builder.end_rows()

    def _decide(self) -> None:
        """Write what waits: single cells above a table as lines of their own, then the table."""
        rows, self._waiting = self._waiting, []
        while len(rows) > 1 and _filled(rows[0]) == 1 and _filled(rows[1]) > 0:
            self._builder.paragraph(next(cell for cell in rows.pop(0) if cell.strip()))
        known = bool(self._header) and self._fits_header(rows)
        count = 0 if known else _count_header(rows)
        if count:
            self._header = merge_headers(_filled_right(rows[:count]))
        elif not known:
            self._header = []
        for row in rows[count:]:
            self._write(row)
        self._decided = True

    def _fits_header(self, rows: Sequence[Sequence[str]]) -> bool:
        """Data that goes on after a blank row, under the header above it."""
        widest = max(len(row) for row in rows)
        return widest <= len(self._header) and _count_header(rows) == 0 and _filled(rows[0]) > 1

    def _write(self, row: Sequence[str]) -> None:
        self._builder.row(row_line(self._header, row))


def _count_header(rows: Sequence[Sequence[str]]) -> int:
    if len(rows) < 2 or max(map(_filled, rows)) < 2:
        return 0
    named = [cell for cell in rows[0] if cell.strip()]
    return count_header_rows(rows) or int(len(named) > 1 and looks_like_header([named, rows[1]]))


def _filled_right(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """A header over several columns is often written in the first of them only."""
    filled = [list(row) for row in rows]
    for row, below in zip(filled, filled[1:], strict=False):
        for column in range(1, len(row)):
            if not row[column].strip() and column < len(below) and below[column].strip() and below[0] == "":
                row[column] = row[column - 1]
    return filled


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) and len(cell) <= _LONGEST_LABEL for cell in row) or int(any(row))
