"""Tables as lines a reader (and a language model) can follow: each row names its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_MAX_SPAN = 100
_DATA = re.compile(r"[-+−–~<>≤≥±]?\s*[$€£¥]?\s*\d[\d.,:/% ()±×x-]*\w{0,3}")
_NUMBER = re.compile(r"[-+−–~<>≤≥±(]?\s*[$€£¥]?\s*\d[\d.,:/% ()±×–-]*|[-–—−.]|n/?a", re.IGNORECASE)
_YEAR = re.compile(r"(?:FY ?)?(?:19|20)\d\d")
_MOST_HEADER_ROWS = 3


class TableGrid:
    """Cells of a table as they come, with cells that span rows and columns filled in."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.header_rows = 0
        self.caption = ""
        self._row: list[str] = []
        self._all_headers = True
        self._above: dict[int, tuple[int, str]] = {}
        self._below: dict[int, tuple[int, str]] = {}

    def add_cell(self, text: str, header: bool, columns: int = 1, rows: int = 1) -> None:
        """Add the next cell of the current row."""
        self._fill_from_above()
        for _ in range(max(1, min(columns, _MAX_SPAN))):
            if rows > 1:
                self._below[len(self._row)] = (min(rows, _MAX_SPAN) - 1, text)
            self._row.append(text)
        self._all_headers = self._all_headers and header

    def end_row(self) -> None:
        """Close the current row; leading rows of header cells are the header."""
        if not self._row:
            return
        self._fill_from_above()
        if self._all_headers and self.header_rows == len(self.rows) and len(self._row) > 1:
            self.header_rows += 1
        self.rows.append(self._row)
        self._row, self._all_headers = [], True
        self._above, self._below = self._below, {}

    def _fill_from_above(self) -> None:
        """Cells of earlier rows that reach down to here."""
        while above := self._above.pop(len(self._row), None):
            left, text = above
            if left > 1:
                self._below[len(self._row)] = (left - 1, text)
            self._row.append(text)

    @property
    def columns(self) -> int:
        return max((len(row) for row in self.rows), default=0)

    def lines(self) -> Iterator[str]:
        """Yield the rows as lines."""
        header_rows = self.header_rows or count_header_rows(self.rows)
        if header_rows == 0 or header_rows == len(self.rows):
            yield from (" | ".join(cell for cell in row if cell) for row in self.rows)
            return
        header = merge_headers(self.rows[:header_rows])
        yield from (row_line(header, row) for row in self.rows[header_rows:])


def is_number(text: str) -> bool:
    """Whether a cell is nothing but a number, a range of numbers or a mark for none."""
    return bool(_NUMBER.fullmatch(text.strip()))


def count_header_rows(rows: Sequence[Sequence[str]]) -> int:
    """How many leading rows name columns: no figures where the rows below have figures; 0 if none do."""
    columns = max((len(row) for row in rows), default=0)
    below = rows[(len(rows) + 1) // 2 :]
    figures = [column for column in range(columns) if _holds_numbers(below, column)]
    if not figures:
        return int(columns > 2 and looks_like_header(rows))
    count = int(_names_years(rows[0]))
    for row in rows[count:_MOST_HEADER_ROWS]:
        cells = [row[column] for column in figures if column < len(row)]
        if not any(cells) or any(is_number(cell) for cell in cells):
            break
        count += 1
    return count if count < len(rows) else 0


def _holds_numbers(rows: Sequence[Sequence[str]], column: int) -> bool:
    filled = [row[column] for row in rows if column < len(row) and row[column].strip()]
    return sum(map(is_number, filled)) > 0.5 * len(filled)


def _names_years(row: Sequence[str]) -> bool:
    later = [cell.strip() for cell in row[1:]]
    return not is_number(row[0]) and len(later) > 1 and all(map(_YEAR.fullmatch, later))


def looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: all filled, all different, no data in it, rows below."""
    if len(rows) < 2:
        return False
    first = [cell.strip() for cell in rows[0]]
    named = all(cell and len(cell) <= 80 and not _DATA.fullmatch(cell) for cell in first)
    return named and len({cell.lower() for cell in first}) == len(first)


def merge_headers(rows: Sequence[Sequence[str]]) -> list[str]:
    """Headers of several rows become one: "Dose / mg"."""
    width = max(len(row) for row in rows)
    merged = []
    for column in range(width):
        names = dict.fromkeys(row[column] for row in rows if column < len(row) and row[column])
        merged.append(" / ".join(names))
    return merged


def row_line(header: Sequence[str], row: Sequence[str]) -> str:
    """Format one row as "header: value; header: value"; empty cells are left out."""
    parts = []
    for column, cell in enumerate(row):
        value = " ".join(cell.split())
        if not value:
            continue
        name = header[column] if column < len(header) else f"column {column + 1}"
        parts.append(f"{name.rstrip(':')}: {value}" if name else value)
    return "; ".join(parts)
