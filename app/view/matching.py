"""Finding a quote in a page whose line breaks, hyphens and ligatures differ from the stored text."""

import unicodedata


def letters(text: str) -> tuple[str, list[int]]:
    """Only letters and digits, folded, and for each the index of the character it came from."""
    kept: list[str] = []
    origin: list[int] = []
    for index, character in enumerate(text):
        for folded in unicodedata.normalize("NFKC", character).casefold():
            if folded.isalnum():
                kept.append(folded)
                origin.append(index)
    return "".join(kept), origin


def find(text: str, quote: str, occurrence: int = 0) -> tuple[int, int] | None:
    """Where the quote stands: (first, last + 1). Occurrences count from 0; the last one is taken at most."""
    haystack, origin = letters(text)
    needle, _ = letters(quote)
    places = list(_places(haystack, needle))
    if not places:
        return None
    first = places[min(occurrence, len(places) - 1)]
    return origin[first], origin[first + len(needle) - 1] + 1


def occurrence_at(text: str, quote: str, start: int) -> int:
    """Which occurrence of the quote the one at `start` is: how many begin before it."""
    before = len(letters(text[:start])[0])
    haystack, needle = letters(text)[0], letters(quote)[0]
    return sum(1 for place in _places(haystack, needle) if place < before)


def _places(haystack: str, needle: str) -> list[int]:
    places: list[int] = []
    at = haystack.find(needle) if needle else -1
    while at >= 0:
        places.append(at)
        at = haystack.find(needle, at + 1)
    return places
