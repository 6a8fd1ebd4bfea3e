"""Tables of a PDF page: by their ruling lines where there are any, else by columns that line up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from storage.ingest.cleaning import one_line
from storage.ingest.readers.pdf_ruled import ruled_tables
from storage.ingest.readers.pdf_words import (
    Box,
    Word,
    around,
    in_cells,
    in_lines,
    page_rules,
    page_words,
)
from storage.ingest.tables import TableGrid, is_number

_FEWEST_LINES = 3
_FARTHEST = 2.6  # heights from one line of a table to the next
_PROSE = 30


@dataclass(frozen=True, slots=True)
class Table:
    """A table's place and its rows as lines that name their columns; `letters` counts what stands in it."""

    box: Box
    lines: tuple[str, ...]
    letters: int


def page_tables(page: Any) -> list[Table]:
    """The tables of a pdfium page, from the top down."""
    words = page_words(page)
    if len(words) < 6:
        return []
    found = ruled_tables(words, *page_rules(page))
    taken = [box for box, _ in found]
    rest = [word for word in words if not any(box.holds(*word.box.middle) for box in taken)]
    return _in_order([_table(box, rows, words) for box, rows in found] + aligned_tables(rest))


def aligned_tables(words: Sequence[Word]) -> list[Table]:
    """Tables told by columns that line up, from the top down."""
    found = []
    for run in _runs([in_cells(line) for line in in_lines(words)]):
        columns = _columns(run)
        if columns and _is_table(run, columns):
            box = around([cell.box for line in run for cell in line])
            found.append(_table(box, _rows(run, columns), words))
    return _in_order(found)


def _in_order(tables: Sequence[Table]) -> list[Table]:
    return sorted((table for table in tables if table.lines), key=lambda table: -table.box.top)


def _table(box: Box, rows: list[list[str]], words: Sequence[Word]) -> Table:
    grid = TableGrid()
    for row in rows:
        for cell in row:
            grid.add_cell(one_line(cell), header=False)
        grid.end_row()
    inside = [word for word in words if box.holds(*word.box.middle)]
    lines = tuple(line for line in grid.lines() if line)
    return Table(box, lines, sum(len(word.text) for word in inside))


def _runs(lines: Sequence[list[Word]]) -> list[list[list[Word]]]:
    """Stretches of close lines with several cells; a line of one cell may stand inside, not at the end."""
    runs: list[list[list[Word]]] = [[]]
    above: list[Word] = []
    for line in lines:
        height = line[0].box.top - line[0].box.bottom
        far = above and above[0].box.middle[1] - line[0].box.middle[1] > _FARTHEST * height
        two_single = len(line) == 1 and len(above) == 1
        if far or two_single:
            runs.append([])
        if len(line) > 1 or runs[-1]:
            runs[-1].append(line)
        above = line
    for run in runs:
        while run and len(run[-1]) == 1:
            run.pop()
    return [run for run in runs if sum(len(line) > 1 for line in run) >= _FEWEST_LINES]


def _columns(run: Sequence[list[Word]]) -> list[tuple[float, float]]:
    """The columns' left and right ends, taken from the lines with the most usual number of cells."""
    sizes = Counter(len(line) for line in run if len(line) > 1)
    usual = max(sizes, key=lambda size: (sizes[size], size))
    spans = sorted((cell.box.left, cell.box.right) for line in run if len(line) == usual for cell in line)
    columns = [spans[0]]
    for left, right in spans[1:]:
        if left <= columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns if len(columns) == usual else []


def _is_table(run: Sequence[list[Word]], columns: Sequence[tuple[float, float]]) -> bool:
    """Not two columns of prose, no table of contents, no signatures: cells are short or numbers."""
    several = [line for line in run if len(line) > 1]
    fits = sum(len({_at(cell, columns) for cell in line}) == len(line) for line in several)
    if fits < 0.8 * len(several) or any("...." in cell.text for line in several for cell in line):
        return False
    for column, (left, right) in enumerate(columns):
        cells = [cell for line in several for cell in line if _at(cell, columns) == column]
        full = sum(cell.box.right - cell.box.left > 0.8 * (right - left) for cell in cells)
        if full > 0.6 * len(cells) and median(len(cell.text) for cell in cells) > _PROSE:
            return False
    later = [cell.text for line in several for cell in line if _at(cell, columns) > 0]
    numbers = sum(is_number(text) for text in later)
    if numbers >= 0.5 * len(later):
        return True
    return len(columns) > 2 and len(several) > 3 and median(len(text) for text in later) <= 25


def _at(cell: Word, columns: Sequence[tuple[float, float]]) -> int:
    """The column that a cell overlaps most, or is nearest to."""
    box = cell.box
    return max(
        range(len(columns)), key=lambda n: min(box.right, columns[n][1]) - max(box.left, columns[n][0])
    )


def _rows(run: Sequence[list[Word]], columns: Sequence[tuple[float, float]]) -> list[list[str]]:
    """Cells by row and column; a line without a first cell goes on with the row above."""
    rows: list[list[str]] = []
    for line in run:
        row = [""] * len(columns)
        for cell in line:
            covered = [n for n, (left, right) in enumerate(columns) if _spans(cell.box, left, right)]
            for column in covered or [_at(cell, columns)]:
                row[column] = f"{row[column]} {cell.text}".strip()
        if rows and not row[0] and rows[-1][0] and not any(map(is_number, row)):
            rows[-1] = [f"{above} {below}".strip() for above, below in zip(rows[-1], row, strict=True)]
        else:
            rows.append(row)
    return rows


def _spans(box: Box, left: float, right: float) -> bool:
    """Whether a cell reaches over most of a column: a heading over several."""
    return min(box.right, right) - max(box.left, left) > 0.5 * (right - left)
