"""Tables whose cells are drawn with lines: the lines say which words belong together."""

from __future__ import annotations

from collections.abc import Sequence

from storage.ingest.readers.pdf_words import Box, Word, around, in_lines

_TOUCH = 3.0
_MOST_LINES = 400
Cells = list[list[str]]


def ruled_tables(
    words: Sequence[Word], flat: Sequence[Box], upright: Sequence[Box]
) -> list[tuple[Box, Cells]]:
    """Each table's place and its cells; cells that span rows or columns repeat their text."""
    found = []
    for group_flat, group_upright in _groups(flat, upright):
        ys = _distinct([rule.middle[1] for rule in group_flat])[::-1]
        xs = _distinct([rule.middle[0] for rule in group_upright])
        if len(ys) < 3 or len(xs) < 3:
            continue
        box = Box(xs[0], ys[-1], xs[-1], ys[0])
        inside = [word for word in words if box.holds(*word.box.middle)]
        cells = _cells(inside, xs, ys)
        filled = sum(bool(cell) for row in cells for cell in row)
        if filled < 0.4 * len(cells) * len(cells[0]) or filled < 4:
            continue  # the grid of a chart, or a form to be filled in
        found.append((box, _spread(cells, xs, ys, group_flat, group_upright)))
    return found


def _groups(flat: Sequence[Box], upright: Sequence[Box]) -> list[tuple[list[Box], list[Box]]]:
    """Lines that touch each other, directly or through others."""
    if not upright or len(flat) + len(upright) > _MOST_LINES * 5:
        return []
    groups: list[tuple[Box, list[Box], list[Box]]] = []
    for is_flat, rule in [(True, rule) for rule in flat] + [(False, rule) for rule in upright]:
        mine: tuple[Box, list[Box], list[Box]] = (rule, [rule] * is_flat, [rule] * (not is_flat))
        apart = []
        for group in groups:
            if _touch(group[0], mine[0]):
                mine = (around([group[0], mine[0]]), group[1] + mine[1], group[2] + mine[2])
            else:
                apart.append(group)
        groups = [*apart, mine]
    return [(group[1], group[2]) for group in groups]


def _touch(one: Box, other: Box) -> bool:
    across = one.left <= other.right + _TOUCH and other.left <= one.right + _TOUCH
    return across and one.bottom <= other.top + _TOUCH and other.bottom <= one.top + _TOUCH


def _distinct(values: Sequence[float]) -> list[float]:
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > _TOUCH:
            kept.append(value)
    return kept


def _cells(words: Sequence[Word], xs: Sequence[float], ys: Sequence[float]) -> Cells:
    inside: dict[tuple[int, int], list[Word]] = {}
    for word in words:
        x, y = word.box.middle
        column = max(0, sum(edge <= x for edge in xs) - 1)
        row = max(0, sum(edge >= y for edge in ys) - 1)
        inside.setdefault((row, column), []).append(word)
    return [
        [
            " ".join(word.text for line in in_lines(inside.get((row, column), [])) for word in line)
            for column in range(len(xs) - 1)
        ]
        for row in range(len(ys) - 1)
    ]


def _spread(
    cells: Cells, xs: Sequence[float], ys: Sequence[float], flat: Sequence[Box], upright: Sequence[Box]
) -> Cells:
    """Where no line parts two neighbours they are one cell; its text then stands in both."""
    for row in range(len(cells)):
        y = (ys[row] + ys[row + 1]) / 2
        start = 0
        for column in range(1, len(cells[row]) + 1):
            if column == len(cells[row]) or _parted(upright, xs[column], y):
                text = " ".join(cell for cell in cells[row][start:column] if cell)
                cells[row][start:column] = [text] * (column - start)
                start = column
    for row in range(1, len(cells)):
        for column in range(len(cells[row])):
            x = (xs[column] + xs[column + 1]) / 2
            if not any(rule.holds(x, ys[row], _TOUCH) for rule in flat):
                cells[row][column] = cells[row][column] or cells[row - 1][column]
    return cells


def _parted(upright: Sequence[Box], x: float, y: float) -> bool:
    return any(rule.holds(x, y, _TOUCH) for rule in upright)
