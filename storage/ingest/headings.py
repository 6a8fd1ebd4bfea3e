"""Headings in text that does not mark them: numbered sections, articles, chapters, usual section names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby

_MAX = 120
_LOWEST = 9
_ROW = 3
_PROSE = 60  # characters of a paragraph that is text rather than one more title
_NUMBERED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,4})\.?[ \t]+(\S.*)")
_NAMED = re.compile(
    r"(part|book|title|chapter|article|section|annex|appendix|schedule|exhibit|kapitel|abschnitt|chapitre|"
    r"cap[ií]tulo|глава|статья)[ \t]+([ivxlcdm]+|\d{1,4}(?:\.\d{1,3})*|[a-z])\b[.:]?"
    r"(?:[ \t]*[-–—:.]?[ \t]*(\S.*))?",
    re.IGNORECASE,
)
_PARAGRAPH_SIGN = re.compile(r"(?:[A-Z][\w.]*[ \t]+){0,4}§{1,2}[ \t]*\d[\w.\-]*[ \t]+[A-Z]\S*.*")
_USUAL = frozenset(
    "abstract introduction background methods method results discussion conclusion conclusions references "
    "summary acknowledgements acknowledgments bibliography definitions preamble recitals appendix contents "
    "preface foreword zusammenfassung einleitung résumé".split()
    + ["materials and methods", "related work", "results and discussion", "executive summary"]
)
CAPTION = re.compile(
    r"(?:table|tab\.|figure|fig\.|tableau|tabelle|abbildung|abb\.|cuadro|tabla|figura|tabella|таблица|рис\.)"
    r"[ \t]*\d",
    re.IGNORECASE,
)
_RANKS = {
    **dict.fromkeys(("part", "book", "title"), 1),
    **dict.fromkeys(("chapter", "kapitel", "chapitre", "capítulo", "capitulo", "глава", "annex"), 2),
    **dict.fromkeys(("appendix", "schedule", "exhibit", "article", "статья", "abschnitt"), 3),
    "section": 4,
}


def find_headings(text: str, unmarked: bool = False) -> Iterator[tuple[int, int, str]]:
    """Yield (offset, level, heading) of lines that are headings by their form.

    `unmarked`: lines without any mark count too, below all others, where they stand between blank lines like
    a title over its text ("Marburg fever", "The selfish giant"), as in plain text.
    """
    lines = text.split("\n")
    offsets = accumulate((len(line) + 1 for line in lines), initial=0)
    titles = _titles(lines) if unmarked else frozenset()
    previous_blank = True
    for number, (offset, line) in enumerate(zip(offsets, lines, strict=False)):
        stripped = line.strip()
        if 2 < len(stripped) <= _MAX:
            level = heading_level(stripped, previous_blank) or (_LOWEST if number in titles else 0)
            if level:
                yield offset + line.index(stripped[0]), level, stripped
        previous_blank = not stripped


def _titles(lines: Sequence[str]) -> frozenset[int]:
    """Numbers of the lines that are a paragraph of their own, like a title over prose; of several in a row
    (title, author) the first, of more than `_ROW` none: that is a list.
    """
    found: list[int] = []
    row: list[int] = []
    for filled, group in groupby(range(len(lines)), key=lambda number: bool(lines[number].strip())):
        if not filled:
            continue
        first, *more = group
        if not more and _could_title(lines[first].strip()):
            row.append(first)
            continue
        if len(row) in range(1, _ROW + 1) and sum(len(lines[i]) for i in (first, *more)) >= _PROSE:
            found.append(row[0])
        row = []
    return frozenset(found)


def _could_title(line: str) -> bool:
    """Short, without a mark of its own, with letters for the most part, and not the end of a sentence."""
    letters = sum(character.isalpha() for character in line)
    return (
        2 < len(line) <= _MAX
        and letters > 0.6 * len(line.replace(" ", ""))
        and _is_title(line.removesuffix("?"), 12)
        and not CAPTION.match(line)
        and not heading_level(line)
    )


def heading_level(line: str, alone: bool = True) -> int:
    """The level of a line that is a heading by its form, else 0; `alone`: a paragraph starts with it."""
    if not alone or len(line) > _MAX or line[-1] in ",;-":
        return 0
    if line.lower().rstrip(":.") in _USUAL:
        return 2
    named = _NAMED.fullmatch(line)
    if named and _is_title(named[3] or "", 12):
        return _RANKS.get(named[1].lower(), 3)
    if _PARAGRAPH_SIGN.fullmatch(line) and len(line.split()) <= 14:
        return 4
    numbered = _NUMBERED.fullmatch(line)
    if numbered and _is_title(numbered[2], 12) and not _looks_like_data(numbered[1], numbered[2]):
        return 4 + numbered[1].count(".")
    return 3 if _is_capitals(line) else 0


def _is_capitals(line: str) -> bool:
    """A short line all in capitals, such as "TERMINATION OF THE LEASE"."""
    if not line.isupper() or len(line) <= 3 or len(line.split()) > 10:
        return False
    letters = sum(character.isalpha() for character in line)
    return letters > 0.7 * len(line.replace(" ", "")) and (line[-1].isalnum() or line[-1] in ")”:")


def _is_title(text: str, max_words: int) -> bool:
    """Titles start with a capital, are short, and do not end like a sentence."""
    words = text.split()
    if not words:
        return True
    return len(words) <= max_words and not text[0].islower() and text[-1] not in ".;,:?!"


def _looks_like_data(number: str, rest: str) -> bool:
    """A line of a table or a measurement ("12 Apr 2020", "3 kg") rather than a numbered heading."""
    letters = sum(character.isalpha() for character in rest)
    if letters < 0.6 * len(rest.replace(" ", "")):
        return True
    if not rest[0].isalpha():
        return True
    return "." not in number and (len(number) > 2 or bool(re.search(r"\d", rest)))
