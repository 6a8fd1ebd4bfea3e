"""What the places and sizes of a PDF's lines tell: paragraph gaps, headings, the title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from storage.ingest.cleaning import clean, one_line, raised
from storage.ingest.headings import CAPTION
from storage.ingest.paragraphs import ROW_MARK
from storage.ingest.readers.pdf_marks import Outline
from storage.ingest.readers.pdf_tables import Table

if TYPE_CHECKING:
    from pypdf import PageObject

_GAP = 1.2
_LARGER = 1.12
_TITLE = 1.3
_LONGEST_HEADING = 150
_LEVELS = 6
Piece = tuple[str, float, float, float]  # text, y, size, x


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page: how large it is and where its first letter stands (points from the lower left)."""

    text: str
    y: float
    size: float
    x: float = 0.0


def page_lines(page: PageObject) -> list[Line]:
    """Extract a page's text by pypdf, line by line, in pypdf's order."""
    pieces: list[Piece] = []

    def visit(text: str, outer: Any, matrix: Any, font: Any, size: float) -> None:
        if text:
            y = matrix[4] * outer[1] + matrix[5] * outer[3] + outer[5]
            scale = (abs(matrix[3]) or abs(matrix[1])) * (abs(outer[3]) or abs(outer[1]))
            x = matrix[4] * outer[0] + matrix[5] * outer[2] + outer[4]
            pieces.append((text, float(y), abs(float(size)) * float(scale), float(x)))

    text = page.extract_text(visitor_text=visit)
    if "".join(piece[0] for piece in pieces) != text:
        return lines_of(text)
    return _assemble(pieces)


def lines_of(text: str) -> list[Line]:
    """Lines whose place is not known."""
    return [Line(line, 0.0, 0.0) for line in clean(text).split("\n")]


def _assemble(pieces: list[Piece]) -> list[Line]:
    lines: list[Line] = []
    current, place = "", (0.0, 0.0, 0.0)
    for text, y, size, x in pieces:
        parts = clean(text).split("\n")
        for index, part in enumerate(parts):
            if index:
                lines.append(Line(current, *place))
                current, place = "", (0.0, 0.0, 0.0)
            if part.strip() and not current.strip():
                place = (y, size, x)
            elif _is_raised(part, y, size, place):
                part = raised(current, part.strip())
            current += part
    lines.append(Line(current, *place))
    return lines


def _is_raised(text: str, y: float, size: float, place: tuple[float, float, float]) -> bool:
    """A small figure above the line: a power or the mark of a footnote."""
    smaller = 0 < size < 0.85 * place[1]
    return smaller and 0.15 * place[1] < y - place[0] < place[1] and text.strip().isdecimal()


def with_tables(lines: list[Line], tables: Sequence[Table]) -> list[Line]:
    """The page's lines, those of each table replaced by its rows; a table unlike them is left out."""
    for table in tables:
        inside = [n for n, line in enumerate(lines) if line.size and _lies_in(line, table)]
        letters = sum(len("".join(lines[n].text.split())) for n in inside)
        if not inside or not 0.8 * table.letters <= letters <= 1.25 * table.letters:
            continue
        blank = Line("", 0.0, 0.0)
        rows = [blank, *(Line(ROW_MARK + text, 0.0, 0.0) for text in table.lines), blank]
        gone = set(inside)
        lines = [
            new
            for n, line in enumerate(lines)
            for new in (rows if n == inside[0] else [] if n in gone else [line])
        ]
    return lines


def _lies_in(line: Line, table: Table) -> bool:
    return bool(line.text.strip()) and table.box.holds(line.x, line.y + 0.3 * line.size, slack=2.0)


def spaced(lines: list[Line]) -> str:
    """The page's text, with a blank line where a gap or a change of size sets paragraphs apart."""
    filled = [line for line in lines if line.text.strip()]
    gaps = [above.y - line.y for above, line in zip(filled, filled[1:], strict=False) if _alike(above, line)]
    usual = median([gap for gap in gaps if gap > 0.5] or [0.0])
    rows: list[str] = []
    above: Line | None = None
    for line in lines:
        if above is not None and line.text.strip() and above.size and line.size:
            gap = above.y - line.y
            if (usual and gap > _GAP * usual) or (abs(gap) > 0.5 and not _alike(above, line)):
                rows.append("")
        rows.append(line.text)
        above = line if line.text.strip() else above
    return "\n".join(rows)


def _alike(one: Line, other: Line) -> bool:
    return max(one.size, other.size) <= _LARGER * min(one.size, other.size)


def headings_by_size(pages: list[list[Line]]) -> tuple[Outline, str]:
    """Return (headings set in larger type than the body, title); a title stands largest on the first page."""
    weights: Counter[float] = Counter()
    for line in (line for lines in pages for line in lines):
        weights[round(line.size, 1)] += len(line.text) if line.size else 0
    body = max(weights, key=lambda size: weights[size], default=0.0)
    if body <= 0:
        return Outline({}), ""
    found = [(number, *item) for number, lines in enumerate(pages) for item in _large(lines, body)]
    sizes = sorted({round(size) for _, _, size in found}, reverse=True)
    entries: dict[int, list[tuple[int, str]]] = {}
    for number, text, size in found:
        level = min(_LEVELS, 1 + sizes.index(round(size)))
        entries.setdefault(number, []).append((level, text))
    first = [(size, text) for number, text, size in found if number == 0 and size >= _TITLE * body]
    title = max(first, key=lambda item: item[0], default=(0.0, ""))[1]
    return Outline(entries), title


def _large(lines: list[Line], body: float) -> list[tuple[str, float]]:
    """Texts in large type, lines of the same size taken together."""
    groups: list[list[Line]] = [[]]
    for line in lines:
        if not line.text.strip():
            continue
        if line.size <= _LARGER * body:
            groups.append([])
        elif groups[-1] and not _alike(groups[-1][-1], line):
            groups.append([line])
        else:
            groups[-1].append(line)
    joined = [(one_line(" ".join(line.text for line in group)), group[0].size) for group in groups if group]
    return [(text, size) for text, size in joined if _is_heading(text)]


def _is_heading(text: str) -> bool:
    if len(text) > _LONGEST_HEADING or CAPTION.match(text):
        return False
    return sum(character.isalpha() for character in text) >= 3
