"""Headings in text that does not mark them: numbered sections, articles, chapters, usual section names."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MAX = 120
_NUMBERED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,4})\.?[ \t]+(\S.*)")
_NAMED = re.compile(
    r"(part|book|title|chapter|article|section|annex|appendix|schedule|exhibit|kapitel|abschnitt|chapitre|"
    r"cap[ií]tulo|глава|статья)[ \t]+([ivxlcdm]+|\d{1,4}(?:\.\d{1,3})*|[a-z])\b[.:]?"
    r"(?:[ \t]*[-–—:.]?[ \t]*(\S.*))?",
    re.IGNORECASE,
)
_PARAGRAPH_SIGN = re.compile(r"§{1,2}[ \t]*\d[\w.\-]*[ \t]+[A-Z]\S*.*")
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


def find_headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (offset, level, heading) of lines that are headings by their form."""
    offset = 0
    previous_blank = True
    for line in text.split("\n"):
        stripped = line.strip()
        if 2 < len(stripped) <= _MAX:
            level = heading_level(stripped, previous_blank)
            if level:
                yield offset + line.index(stripped[0]), level, stripped
        previous_blank = not stripped
        offset += len(line) + 1


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
