"""Where the row of a table stands on a PDF page: its text was written "Header: value; Header: value", which
stands nowhere as such, so the row is found by its words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from app.view.matching import letters
from storage.ingest.readers.pdf_words import Box, Word, in_cells, in_lines, page_words

MOST_LINES = 8  # of one row, whose cells may be wrapped
ENOUGH = 0.7  # of the letters of a row's values


def row_boxes(page: Any, quote: str) -> list[Box]:
    """The cells of every row that `quote` names, on a pdfium page; a line of it that is no row gives none."""
    lines = in_lines(page_words(page))
    return [box for row in quote.splitlines() if ": " in row for box in _row(lines, row)]


def _row(lines: Sequence[list[Word]], row: str) -> list[Box]:
    """The stretch of lines that holds most of the row's values and no word that is not of the row."""
    values, whole = _values(row), Counter(_tokens(row))
    wanted = sum(len(token) * times for token, times in values.items())
    best, found = 0, list[list[Word]]()
    for first in range(len(lines)):
        for stretch in _stretches(lines, first, whole):
            held = values & Counter(
                token for line in stretch for word in line for token in _tokens(word.text)
            )
            share = sum(len(token) * times for token, times in held.items())
            if share > best:
                best, found = share, stretch
    if not wanted or best < ENOUGH * wanted:
        return []
    marked = [[word for word in line if set(_tokens(word.text)) & set(values)] for line in found]
    return [cell.box for line in marked for cell in in_cells(line)]


def _stretches(lines: Sequence[list[Word]], first: int, whole: Counter[str]) -> Iterator[list[list[Word]]]:
    """Lines from `first` on as long as each of their words is one of the row's that is not used up."""
    left, stretch = whole.copy(), list[list[Word]]()
    for line in lines[first : first + MOST_LINES]:
        said = Counter(token for word in line for token in _tokens(word.text))
        if said - left:
            return
        left -= said
        stretch = [*stretch, line]
        yield stretch


def _values(row: str) -> Counter[str]:
    """The words behind the headers."""
    parts = (part.partition(": ") for part in row.split("; "))
    return Counter(token for name, colon, value in parts for token in _tokens(value if colon else name))


def _tokens(text: str) -> list[str]:
    """Words as the letters and digits they hold."""
    return [found for word in text.split() if (found := letters(word)[0])]
