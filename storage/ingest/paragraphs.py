"""Lines of a printed page to paragraphs."""

from __future__ import annotations

import re

from storage.ingest.headings import heading_level
from storage.ingest.hyphens import mend_break, words_seen

_LETTER = r"[^\W\d_]"
_BROKEN_END = re.compile(rf"(?:(?<![\w-])|^)({_LETTER}{{1,40}}(?:-{_LETTER}{{1,40}}){{0,3}})[-\u2010]\Z")
_WORD_START = re.compile(rf"{_LETTER}{{1,40}}")
_ITEM = re.compile(r"(?:[•●▪■◦‣∙·*–—-]\s|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]\s|\[\d{1,3}\]\s|§)")
_ENDS_SENTENCE = (".", "!", "?", ":", ".”", '."', ".)", "。", "！", "？")
_CJK = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_GAP = re.compile(r"\S(?: {3,}|\t)\S")
ROW_MARK = "\x01"  # before a line that is a table's row; cleaned text has no such character


def join_lines(pages: list[str]) -> list[str]:
    """Join each page's wrapped lines; broken words are mended by what the whole document shows."""
    split = [[line.strip() for line in page.split("\n")] for page in pages]
    breaks = [
        found
        for lines in split
        for first, second in zip(lines, lines[1:], strict=False)
        if (found := _broken_word(first, second))
    ]
    seen = words_seen("\n".join(pages), breaks) if breaks else frozenset()
    return [_join_page(lines, seen) for lines in split]


def _broken_word(first: str, second: str) -> tuple[str, str] | None:
    before = _BROKEN_END.search(first[-90:])
    after = _WORD_START.match(second)
    return (before[1], after[0]) if before and after else None


def _join_page(lines: list[str], seen: frozenset[str]) -> str:
    width = _usual_width(lines)
    blocks: list[str] = []
    apart: list[bool] = []
    current: list[str] = []
    last, gap = "", False
    for line in lines:
        if not line:
            gap = True
            continue
        if current and (gap or ROW_MARK in (line[0], last[0]) or _starts_anew(last, line, width)):
            blocks.append("".join(current))
            current = []
        if not current:
            apart.append(gap)
        _attach(current, line, seen)
        last, gap = line, False
    if current:
        blocks.append("".join(current))
    return _space_blocks(blocks, apart)


def _attach(current: list[str], line: str, seen: frozenset[str]) -> None:
    if not current:
        current.append(line)
        return
    end = current[-1]
    broken = _broken_word(end, line)
    if broken:
        stem = len(end) - len(broken[0]) - 1
        current[-1] = end[:stem]
        current.append(mend_break(broken[0], broken[1], seen) + line[len(broken[1]) :])
    elif end.endswith(("-", "\u2010", "/")) and len(end) > 1 and end[-2].isalnum():
        current.append(line)
    elif _CJK.match(end[-1]) and _CJK.match(line[0]):
        current.append(line)
    else:
        current.append(" " + line)


def _usual_width(lines: list[str]) -> int:
    """The length of a full line: the upper quartile of lines that are not short."""
    lengths = sorted(len(line) for line in lines if len(line) > 20)
    return lengths[(3 * len(lengths)) // 4] if lengths else 0


def _starts_anew(last: str, line: str, width: int) -> bool:
    """Whether `line` begins a new paragraph, item, heading or table row after `last`."""
    if _broken_word(last, line) and line[0].islower():
        return False
    if _ITEM.match(line) or _GAP.search(line) or _GAP.search(last):
        return True
    if heading_level(line) or heading_level(last):
        return True
    if _numeric(last) and _numeric(line):
        return True
    if len(last) < 0.6 * width:
        return not (line[0].islower() and not last.endswith(_ENDS_SENTENCE) and len(last) > 0.3 * width)
    starts_sentence = not line[0].islower()
    return len(last) < 0.85 * width and last.endswith(_ENDS_SENTENCE) and starts_sentence


def _numeric(line: str) -> bool:
    """A row of a table of numbers."""
    words = line.split()
    return len(words) >= 3 and sum(any(c.isdigit() for c in word) for word in words) > 0.5 * len(words)


def _space_blocks(blocks: list[str], apart: list[bool]) -> str:
    """Blank lines at gaps and around long blocks; short ones in a row (tables, lists) stay together."""
    pieces: list[str] = []
    for index, block in enumerate(blocks):
        if index:
            above = blocks[index - 1]
            short = len(block) < 100 and len(above) < 100
            close = short and not apart[index] and not heading_level(block) and not heading_level(above)
            rows = block[0] == above[0] == ROW_MARK and not apart[index]
            pieces.append("\n" if close or rows else "\n\n")
        pieces.append(block)
    return "".join(pieces).replace(ROW_MARK, "")
