"""Running headers, footers and page numbers: lines that most pages of a document repeat at top or bottom."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

_DEPTH = 3
_LONGEST = 200
# A number counts as the page's at the line's start or where it is named as one. "Case 7" on page 7 is no
# header: removing it would lose what the page is about, while a page number that stays costs nothing.
_NUMBER = re.compile(
    r"^\d{1,6}(?![\w.,:/-])|\b\d{1,6}(?=/\d)|"
    r"(?:(?<=page )|(?<=seite )|(?<=p\. )|(?<=página )|(?<=стр\. )|(?<=[|–—-] ))\d{1,6}\b",
    re.IGNORECASE,
)
_ROMAN = re.compile(r"[ivxlc]{1,8}", re.IGNORECASE)
_BARE = re.compile(
    r"\W*(?:(?:page|p\.|seite|página|pagina|стр\.?|第)\W*)?<[+-]?\d+>\W*(?:(?:of|/|von|de|di|из|頁|页)\W*\d*\W*)?",
    re.I,
)
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True, slots=True)
class Furniture:
    """Repeated lines. `kept_at`: the page on which a header with words stays, so that nothing is lost."""

    keys: frozenset[str]
    kept_at: dict[str, int]

    def strip(self, number: int, text: str) -> str:
        """The page's text without repeated lines, except each one's first appearance."""
        if not self.keys:
            return text
        lines = text.split("\n")
        filled = [index for index, line in enumerate(lines) if line.strip()]
        drop = set()
        for edge in (filled[:_DEPTH], filled[: -_DEPTH - 1 : -1]):
            for index in edge:
                if self.keys.isdisjoint(_keys(lines[index], number)):
                    break  # what stands further inside is the page's own, repeated or not
                if self.kept_at.get(_squeeze(lines[index])) != number:
                    drop.add(index)
        return "\n".join(line for index, line in enumerate(lines) if index not in drop)

    def without(self, text: str) -> str:
        """Joined text without any line of these: what the page itself says."""
        return "\n".join(line for line in text.split("\n") if _squeeze(line) not in self.kept_at)


def find_furniture(pages: list[str]) -> Furniture:
    """Find lines at page edges that most pages (or most odd, most even ones) repeat."""
    edges = [_edges(text) for text in pages]
    total, odd, even = Counter[str](), Counter[str](), Counter[str]()
    for number, lines in enumerate(edges):
        for key in {key for line in lines for key in _keys(line, number)}:
            total[key] += 1
            (even if number % 2 else odd)[key] += 1
    filled = [bool(lines) for lines in edges]
    sizes = (sum(filled), sum(filled[::2]), sum(filled[1::2]))
    keys = frozenset(key for key in total if _is_repeated(key, total[key], odd[key], even[key], sizes))
    return Furniture(keys, _first_appearances(edges, keys))


def _first_appearances(edges: list[list[str]], keys: frozenset[str]) -> dict[str, int]:
    """Where each repeated line with words in it stands first, by its text there."""
    kept: dict[str, int] = {}
    met: set[str] = set()
    for number, lines in enumerate(edges):
        for line in lines:
            found = [key for key in _keys(line, number) if key in keys]
            if found and _has_words(found) and met.isdisjoint(found):
                kept.setdefault(_squeeze(line), number)
            met.update(found)
    return kept


def _is_repeated(key: str, total: int, odd: int, even: int, sizes: tuple[int, int, int]) -> bool:
    if sizes[0] >= 3:
        needed = 3
        if total >= max(needed, 0.6 * sizes[0]):
            return True
        return max(odd / max(1, sizes[1]), even / max(1, sizes[2])) >= 0.8 and max(odd, even) >= needed
    return sizes[0] == 2 and total == 2 and bool(_BARE.fullmatch(key))


def _edges(text: str) -> list[str]:
    """The first and last few lines that hold anything."""
    filled = [line for line in text.split("\n") if line.strip()]
    inner = max(_DEPTH, len(filled) - _DEPTH)
    return [line for line in filled[:_DEPTH] + filled[inner:] if len(line) <= _LONGEST]


def _keys(line: str, number: int) -> list[str]:
    """The line itself, and with each of its numbers written as its distance from the page's number."""
    plain = _squeeze(line)
    if len(plain) > _LONGEST:
        return []
    keys = [plain]
    for match in list(_NUMBER.finditer(plain))[:6]:
        keys.append(f"{plain[: match.start()]}<{int(match.group()) - number:+d}>{plain[match.end() :]}")
    bare = plain.strip("-–—. []()")
    if _ROMAN.fullmatch(bare):
        keys.append(f"<{_roman(bare) - number:+d}>roman")
    return keys


def _squeeze(line: str) -> str:
    return " ".join(line.split())


def _roman(text: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in text.lower()]
    following = values[1:] + [0]
    return sum(-value if value < after else value for value, after in zip(values, following, strict=True))


def _has_words(keys: list[str]) -> bool:
    return not any(_BARE.fullmatch(key) or key.endswith(">roman") for key in keys)
