"""CSV and TSV: every row a line that names its columns."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import clean, one_line
from storage.ingest.parsed import ParsedDocument
from storage.ingest.readers.source import Source
from storage.ingest.tables import looks_like_header, row_line

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES = 50
_LARGEST_FIELD = 10_000_000
_MOST_COLUMNS = 20_000


def read(source: Source) -> ParsedDocument:
    """Read a table of separated values; the separator is told by the content."""
    builder = source.builder()
    text = clean(source.text(builder)).replace("\f", " ")
    csv.field_size_limit(_LARGEST_FIELD)
    delimiter = find_delimiter(text, "\t" if source.suffix == ".tsv" else ",")
    if _is_balanced(text, delimiter):
        _add_rows(_rows(text, delimiter, csv.QUOTE_MINIMAL), builder)
    else:
        builder.warn("quotes are not balanced: read line by line")
        _add_rows(_rows(text, delimiter, csv.QUOTE_NONE), builder)
    return source.finish(builder)


def _is_balanced(text: str, delimiter: str) -> bool:
    """An open quote swallows all lines after it into one field, up to the end of the file."""
    if text.count('"') % 2 == 0:
        return True
    last: list[str] = []
    try:
        for row in _rows(text, delimiter, csv.QUOTE_MINIMAL):
            last = row
    except csv.Error:
        return False
    return not any("\n" in cell for cell in last)


def find_delimiter(text: str, usual: str) -> str:
    """The separator that cuts most of the first lines into the same number of columns, more columns first."""
    sample = [line for line, _ in zip(_lines(text), range(_SAMPLE_LINES), strict=False)]
    best, best_score = usual, 0.0
    for delimiter in (usual, *(each for each in _DELIMITERS if each != usual)):
        widths = Counter(_width(line, delimiter) for line in sample if line.strip())
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        score = count / max(1, len(sample)) * min(width, 50) if width > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _width(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line[:100_000]], delimiter=delimiter), []))
    except csv.Error:
        return 1


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends, without a second copy of the text."""
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end + 1
        yield text[start:end]
        start = end


def _rows(text: str, delimiter: str, quoting: int) -> Iterator[list[str]]:
    return csv.reader(_lines(text), delimiter=delimiter, quoting=quoting, skipinitialspace=True)  # type: ignore[arg-type]


def _add_rows(rows: Iterator[list[str]], builder: TextBuilder) -> None:
    first = _next_filled(rows)
    second = _next_filled(rows)
    header = [one_line(cell) for cell in first]
    waiting = [second]
    if not (second and _is_header(first, second)):
        header = [f"column {number}" for number in range(1, len(first) + 1)] if len(first) > 1 else []
        waiting = [first, second]
    longer = 0
    for row in itertools.chain(waiting, rows):
        longer += len(row) > len(header) > 0
        _add(header, row, builder)
    if longer:
        builder.warn(f"rows with more cells than the header has columns: {longer:,}")


def _is_header(first: list[str], second: list[str]) -> bool:
    """Named columns; gaps are allowed, since exported tables often leave the first name out."""
    named = [cell for cell in first if cell.strip()]
    return len(named) > 0.5 * len(first) and looks_like_header([named, second])


def _add(header: list[str], row: list[str], builder: TextBuilder) -> None:
    if len(row) > _MOST_COLUMNS:
        builder.warn(f"a row has more than {_MOST_COLUMNS:,} cells; the rest of it was left out")
        row = row[:_MOST_COLUMNS]
    builder.row(row_line(header, row))


def _next_filled(rows: Iterator[list[str]]) -> list[str]:
    return next((row for row in rows if any(cell.strip() for cell in row)), [])
