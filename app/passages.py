"""Cuts a document into passages of about 200 tokens that tile it: no gap, no overlap, every token in one."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence

import numpy as np
from langchain_text_splitters import RecursiveCharacterTextSplitter
from numpy.typing import NDArray

from engine.tokenizer import Tokenizer
from storage import PassageSpan

TARGET_TOKENS = 200
MOST_TOKENS = 260
FEWEST_TOKENS = 90
WINDOW_CHARS = 131_072

# Paragraph, line, sentence, clause, word. No "split every character" at the end: what none of these cuts is
# cut by tokens, so that a text without any space costs no more than another.
SEPARATORS = [r"\n\s*\n\s*", r"\n\s*", r"[.!?…][\"'”’)\]]*\s+|[。！？]", r"[;:,]\s+|[；，、]", r"\s+"]
_BREAKS = ("\n\n", "\n", ". ", " ")

Starts = NDArray[np.int64]


def split_passages(
    text: str,
    headings: Sequence[tuple[int, str]],
    tokenizer: Tokenizer,
    target: int = TARGET_TOKENS,
) -> tuple[list[PassageSpan], int]:
    """Passages of `text` with the heading each stands under, and the number of tokens of the whole text."""
    parts = [segment.starts for segment in tokenizer.iter_encode(text)]
    if not parts:
        return [], 0
    starts = np.concatenate(parts)
    cuts: list[int] = []
    for begin, end in _sections(text, [offset for offset, _ in headings]):
        cuts.extend(_cuts(text, begin, end, starts, target))
    tokens = _merged(_token_cuts(cuts, starts), target)
    return _spans(text, headings, starts, tokens), len(starts)


def _sections(text: str, headings: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches between headings, cut further where they are too long to handle in one go."""
    edges = sorted({0, *(offset for offset in headings if 0 < offset < len(text)), len(text)})
    for begin, end in zip(edges, edges[1:], strict=False):
        while end - begin > WINDOW_CHARS:
            cut = _window_end(text, begin)
            yield begin, cut
            begin = cut
        yield begin, end


def _window_end(text: str, begin: int) -> int:
    end = begin + WINDOW_CHARS
    for mark in _BREAKS:
        found = text.rfind(mark, begin + WINDOW_CHARS * 3 // 4, end)
        if found > 0:
            return found + len(mark)
    return end


def _cuts(text: str, begin: int, end: int, starts: Starts, target: int) -> list[int]:
    """Character offsets in [begin, end) where a passage may start; the first is `begin`."""
    first, last = np.searchsorted(starts, (begin, end))
    count = int(last - first)
    if count <= target:
        return [begin]
    # The splitter measures in characters; this window's own ratio makes them about as good as tokens.
    splitter = RecursiveCharacterTextSplitter(
        separators=SEPARATORS,
        is_separator_regex=True,
        keep_separator="end",
        chunk_size=max(1, target * (end - begin) // count),
        chunk_overlap=0,
        strip_whitespace=False,
    )
    cuts, at = [], begin
    for piece in splitter.split_text(text[begin:end]):
        cuts.append(at)
        at += len(piece)
    assert at == end, "the splitter must return every character"
    return cuts


def _token_cuts(cuts: list[int], starts: Starts) -> list[int]:
    """The cuts as token indices, each moved back to a token's start; overlong stretches cut by tokens."""
    at = np.searchsorted(starts, cuts, side="right") - 1
    # A character of several tokens repeats its offset; the cut goes before the first of them.
    at = np.searchsorted(starts, starts[np.maximum(at, 0)])
    edges = [*np.unique(np.append(at, 0)).tolist(), len(starts)]
    tokens: list[int] = []
    for begin, end in zip(edges, edges[1:], strict=False):
        parts = -(-(end - begin) // MOST_TOKENS)
        for part in range(parts):
            index = begin + (end - begin) * part // parts
            tokens.append(int(np.searchsorted(starts, starts[index])) if part else begin)
    return sorted(set(tokens)) + [len(starts)]


def _merged(edges: list[int], target: int) -> list[int]:
    """Token edges with stretches too short to mean anything joined to a neighbour."""
    kept = [edges[0]]
    for begin, end in zip(edges[1:], edges[2:], strict=False):
        before = begin - kept[-1]
        if min(before, end - begin) < FEWEST_TOKENS and end - kept[-1] <= max(target, MOST_TOKENS):
            continue
        kept.append(begin)
    return [*kept, edges[-1]]


def _spans(
    text: str, headings: Sequence[tuple[int, str]], starts: Starts, tokens: list[int]
) -> list[PassageSpan]:
    headings = sorted(headings)
    offsets = [offset for offset, _ in headings]
    edges = [0, *starts[tokens[1:-1]].tolist(), len(text)]
    spans = []
    for index, (start, end) in enumerate(zip(edges, edges[1:], strict=False)):
        blank = re.compile(r"\s*").match(text, start, end)
        under = bisect.bisect_right(offsets, blank.end() if blank else start)
        heading = headings[under - 1][1] if under else ""
        spans.append(PassageSpan(index, start, end, tokens[index], tokens[index + 1], heading))
    return spans
