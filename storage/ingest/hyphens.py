"""Words broken at line ends: the hyphen stays where it is the word's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_LETTER = r"[^\W\d_]"
_BREAK = re.compile(rf"[-\u2010][ \t]*\n[ \t]*({_LETTER}{{1,40}})")
_BEFORE = re.compile(rf"(?:(?<![\w-])|^){_LETTER}{{1,40}}(?:-{_LETTER}{{1,40}}){{0,3}}\Z")
_REST = re.compile(r"(\S{0,40})[ \t]*\n?")
_WORD = re.compile(rf"{_LETTER}+(?:[-\u2010]{_LETTER}+)*")
_HYPHENS = ("-", "\u2010")
_COMPOUND_STARTS = frozenset(
    "well self non long short high low half cross all ex quasi semi ill much so mid near one two three four "
    "five six seven eight nine ten first second third full part post pre anti co vice multi time double "
    "single large small old new state end open close hard soft left right top bottom decision court "
    "year day month week".split()
)


def join_hyphens(text: str) -> str:
    """Mend every word broken over a line end; the line break moves behind the mended word."""
    breaks = list(_breaks(text))
    if not breaks:
        return text
    seen = words_seen(text, [(before, after) for _, _, before, after in breaks])
    pieces, done = [], 0
    for start, end, before, after in breaks:
        if start < done:
            continue
        rest = _REST.match(text, end)
        assert rest is not None
        pieces += [text[done:start], mend_break(before, after, seen), rest[1], "\n"]
        done = rest.end()
    return "".join(pieces) + text[done:]


def _breaks(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Yield (start of the first half, end of the second, first half, second half)."""
    for match in _BREAK.finditer(text):
        before = _BEFORE.search(text, max(0, match.start() - 90), match.start())
        if before:
            yield before.start(), match.end(), before.group(), match[1]


def mend_break(before: str, after: str, seen: frozenset[str]) -> str:
    """Join two halves of a broken word, with or without the hyphen."""
    last = before.rsplit("-", 1)[-1]
    joined = before + after
    if joined.lower() in seen:
        return joined
    hyphenated = f"{before}-{after}"
    if hyphenated.lower() in seen:
        return hyphenated
    if after[0].isupper() or last.isupper() or "-" in before:
        return hyphenated
    first_is_word = last.lower() in _COMPOUND_STARTS or last.lower() in seen
    if first_is_word and (after.lower() in seen or (last.lower() in _COMPOUND_STARTS and len(after) > 3)):
        return hyphenated
    return joined


def words_seen(text: str, breaks: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Which of the words in question stand somewhere in the text, unbroken."""
    wanted: set[str] = set()
    for before, after in breaks:
        last = before.rsplit("-", 1)[-1]
        wanted.update(word.lower() for word in (before + after, f"{before}-{after}", last, after))
    found: set[str] = set()
    for match in _WORD.finditer(text):
        if (
            text[match.end() : match.end() + 1] in _HYPHENS
            or text[max(0, match.start() - 2) : match.start()] == "-\n"
        ):
            continue  # perhaps half of a broken word
        word = match.group().lower()
        found.update(part for part in (word, *word.split("-")) if part in wanted)
    return frozenset(found)
