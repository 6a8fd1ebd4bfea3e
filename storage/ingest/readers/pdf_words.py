"""The words and ruling lines of a PDF page with their places, by pdfium; points from the lower left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MOST_CHARACTERS = 30_000
_MOST_PATHS = 3_000
_THIN = 2.5
_SHORTEST_RULE = 8.0
_CELL_GAP = 0.7  # of the line's height: wider than any space between words of a sentence


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in points."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def holds(self, x: float, y: float, slack: float = 0.0) -> bool:
        inside_x = self.left - slack <= x <= self.right + slack
        return inside_x and self.bottom - slack <= y <= self.top + slack


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of text on one line."""

    text: str
    box: Box


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of these."""
    return Box(
        min(box.left for box in boxes),
        min(box.bottom for box in boxes),
        max(box.right for box in boxes),
        max(box.top for box in boxes),
    )


def page_words(page: Any) -> list[Word]:
    """The page's words in the order of the file; none for a page that is overfull or in disorder."""
    from pypdfium2 import raw

    textpage = page.get_textpage()
    count = textpage.count_chars()
    text = textpage.get_text_range() if 0 < count <= _MOST_CHARACTERS else ""
    if len(text) != count:
        return []
    place = raw.FS_RECTF()
    words: list[Word] = []
    letters, boxes = "", list[Box]()
    for index, letter in enumerate(text):
        box = None
        if not letter.isspace() and raw.FPDFText_GetLooseCharBox(textpage.raw, index, place):
            box = Box(place.left, place.bottom, place.right, place.top)
        if letters and (box is None or _apart(boxes[-1], box)):
            words.append(Word(letters, around(boxes)))
            letters, boxes = "", []
        if box is not None:
            letters += letter
            boxes.append(box)
    if letters:
        words.append(Word(letters, around(boxes)))
    return words


def _apart(before: Box, box: Box) -> bool:
    height = max(before.top - before.bottom, 1.0)
    if abs(before.middle[1] - box.middle[1]) > 0.5 * height:
        return True
    return not -height < box.left - before.right < 0.3 * height


def page_rules(page: Any) -> tuple[list[Box], list[Box]]:
    """Horizontal and vertical ruling lines, thin rectangles among them; a larger one counts as its edges."""
    from pypdfium2 import raw

    flat: list[Box] = []
    upright: list[Box] = []
    for number, item in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=3)):
        if number > _MOST_PATHS:
            return [], []  # a drawing, not the lines of a table
        box = Box(*item.get_bounds())
        width, height = box.right - box.left, box.top - box.bottom
        if height <= _THIN and width >= _SHORTEST_RULE:
            flat.append(box)
        elif width <= _THIN and height >= _SHORTEST_RULE:
            upright.append(box)
        elif width >= _SHORTEST_RULE and height >= _SHORTEST_RULE:
            flat += [Box(box.left, y, box.right, y) for y in (box.bottom, box.top)]
            upright += [Box(x, box.bottom, x, box.top) for x in (box.left, box.right)]
    return flat, upright


def in_lines(words: Sequence[Word]) -> list[list[Word]]:
    """Words that stand beside each other, from the top down, each line from left to right."""
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda each: -each.box.middle[1]):
        height = word.box.top - word.box.bottom
        if lines and abs(lines[-1][0].box.middle[1] - word.box.middle[1]) < 0.4 * height:
            lines[-1].append(word)
        else:
            lines.append([word])
    return [sorted(line, key=lambda each: each.box.left) for line in lines]


def in_cells(line: Sequence[Word]) -> list[Word]:
    """A line's words joined where no more than a space parts them."""
    cells: list[list[Word]] = []
    for word in line:
        height = word.box.top - word.box.bottom
        if cells and word.box.left - cells[-1][-1].box.right < _CELL_GAP * height:
            cells[-1].append(word)
        else:
            cells.append([word])
    return [Word(" ".join(w.text for w in cell), around([w.box for w in cell])) for cell in cells]
