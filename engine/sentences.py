"""Sentences of a passage, as spans, and the words that carry its content."""

import re
import unicodedata

_END = re.compile(r"(?:[.!?][\"'”’)\]]*(?=\s)|[。！？]+|\n+)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|al|Dr|Mr|Mrs|Ms|Prof|St|Nos?|Figs?|Eq|Sec|Art|Inc|Ltd|Co|Corp|approx|ca|Vol|pp?)"
    r"|(?<!\d )\b[A-Z])\.$"
)
_WORD = re.compile(r"\d+(?:[.,:/]\d+)*|\w+", re.UNICODE)
_STOP = frozenset(
    "a an and any are as at be been by can could did do does for from had has have how i if in into is "
    "it its may me my no not of on or our shall should so such than that the their them then there "
    "these they this those to under up was we were what when where which who whom whose why will with "
    "would you your about after also between both during each more most much many name give tell say "
    "says said please according".split()
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Spans [start, end) of the sentences of `text`, without surrounding white space, in order."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if match.group()[0] == "." and _ABBREVIATION.search(
            text, max(start, match.start() - 12), match.start() + 1
        ):
            continue
        _add(spans, text, start, match.end())
        start = match.end()
    _add(spans, text, start, len(text))
    return spans


def content_terms(text: str) -> list[str]:
    """Words of `text` that carry content, lower case, accents folded, cut to a crude stem; numbers whole."""
    terms = []
    for word in _WORD.findall(text):
        plain = unicodedata.normalize("NFKD", word).casefold()
        plain = "".join(c for c in plain if not unicodedata.combining(c))
        if plain not in _STOP:
            terms.append(plain if plain[:1].isdigit() else _stem(plain))
    return terms


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "edly", "ed", "es", "ly", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        first = start + piece.index(stripped[0]) if stripped else start
        spans.append((first, first + len(stripped)))
