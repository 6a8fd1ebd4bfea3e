"""A table of an HTML page while its cells come in."""

from __future__ import annotations

from typing import Any

from storage.ingest.cleaning import one_line
from storage.ingest.tables import TableGrid

CELL_BREAK = "\n"
_LONG_CELL = 600


class OpenTable:
    """A table whose end has not come yet."""

    def __init__(self) -> None:
        self.grid = TableGrid()
        self.cell: list[str] | None = None
        self.nested = False
        self._tag = ""
        self._spans = (1, 1)

    def begin_cell(self, tag: str, attributes: Any) -> None:
        self.cell, self._tag = [], tag
        self._spans = (_span(attributes.get("colspan")), _span(attributes.get("rowspan")))

    def end_cell(self) -> None:
        if self.cell is None:
            return
        text = "".join(self.cell).strip()
        if self._tag == "caption":
            self.grid.caption = one_line(text)
        else:
            self.grid.add_cell(text, self._tag == "th", *self._spans)
        self.cell = None

    @property
    def is_layout(self) -> bool:
        """Tables that arrange a page rather than data: one column, tables inside, or very long cells."""
        cells = [cell for row in self.grid.rows for cell in row if cell]
        long = sum(len(cell) > _LONG_CELL for cell in cells)
        return self.nested or self.grid.columns < 2 or long > 0.3 * len(cells)

    def lines(self) -> list[str]:
        caption = [self.grid.caption] if self.grid.caption else []
        if self.is_layout:
            return caption + [cell for row in self.grid.rows for cell in row if cell]
        self.grid.rows = [[one_line(cell) for cell in row] for row in self.grid.rows]
        return caption + [line for line in self.grid.lines() if line]


def _span(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 6 else 1
