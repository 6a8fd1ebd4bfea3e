"""The order in which the blocks of a page are read: cut at gutters and at gaps, again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from storage.ingest.readers.pdf_words import Word

_GAP = 0.3  # of a line's height
_FEWEST = 3
_PROSE = 8.0  # heights that a line of a column of prose is wide; labels and values are narrower


def blocks_in_order(words: Sequence[Word]) -> list[list[Word]]:
    """Words grouped into blocks: columns from left to right, in each the blocks from the top down."""
    if not words:
        return []
    height = median([word.box.top - word.box.bottom for word in words])
    parts = _split(words, lambda w: (w.box.left, w.box.right), 0.0)
    if len(parts) > 1 and all(_is_column(part, height) for part in parts):
        return [block for part in parts for block in blocks_in_order(part)]
    strips = _split(words, lambda w: (-w.box.top, -w.box.bottom), _GAP * height)
    if len(strips) == 1:
        return [list(words)]
    return [block for strip in strips for block in blocks_in_order(strip)]


def _is_column(words: Sequence[Word], height: float) -> bool:
    """Lines of prose below each other, which are read before the column beside them."""
    return len(words) >= _FEWEST and median(w.box.right - w.box.left for w in words) >= _PROSE * height


def _split(
    words: Sequence[Word], extent: Callable[[Word], tuple[float, float]], gap: float
) -> list[list[Word]]:
    """Cut where nothing stands for at least `gap`."""
    ordered = sorted(words, key=extent)
    parts = [[ordered[0]]]
    end = extent(ordered[0])[1]
    for word in ordered[1:]:
        start, stop = extent(word)
        if start - end >= gap:
            parts.append([])
        parts[-1].append(word)
        end = max(end, stop)
    return parts
