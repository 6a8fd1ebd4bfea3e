"""The language of a text: by its script, and where languages share one, by letters or little words."""

from __future__ import annotations

import re
from collections import Counter

from storage.ingest.function_words import CYRILLIC, DEVANAGARI, LATIN

_SAMPLE = 8_000
_FEWEST_LETTERS = 20
_FEWEST_WORDS = 12
_FEWEST_DIFFERENT = 3
_SHARE = 0.05  # of all words; running text has 0.2 to 0.5
_CLEARER = 1.08
_SCRIPTS = {
    "latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
    "cyrillic": "\u0400-\u052f",
    "arabic": "\u0600-\u06ff\u0750-\u077f",
    "devanagari": "\u0900-\u097f",
    "kana": "\u3040-\u30ff",
    "zh": "\u3400-\u4dbf\u4e00-\u9fff",
    "ko": "\u1100-\u11ff\uac00-\ud7af",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "he": "\u0590-\u05ff",
    "th": "\u0e01-\u0e5b",
    "hy": "\u0531-\u058f",
    "ka": "\u10a0-\u10ff",
    "bn": "\u0980-\u09ff",
    "pa": "\u0a00-\u0a7f",
    "gu": "\u0a80-\u0aff",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff",
    "ml": "\u0d00-\u0d7f",
    "si": "\u0d80-\u0dff",
    "lo": "\u0e81-\u0edf",
    "my": "\u1000-\u109f",
    "am": "\u1200-\u137f",
    "km": "\u1780-\u17ff",
}
_COUNTED = {script: re.compile(f"[{letters}]") for script, letters in _SCRIPTS.items()}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_URDU, _PERSIAN = re.compile("[ٹڈڑےں]"), re.compile("[پچژگ]")


def detect_language(text: str) -> str:
    """Return an ISO 639-1 code; "" for too little text, none in words, or a language not known here."""
    sample = _sample(text)
    counts = Counter({script: len(pattern.findall(sample)) for script, pattern in _COUNTED.items()})
    script, letters = counts.most_common(1)[0]
    if sum(counts.values()) < _FEWEST_LETTERS:
        return ""
    if script in ("zh", "kana"):
        return "ja" if counts["kana"] > 0.08 * (counts["kana"] + counts["zh"]) else "zh"
    match script:
        case "latin":
            return _by_words(sample, LATIN)
        case "cyrillic":
            return _by_words(sample, CYRILLIC)
        case "devanagari":
            return _by_words(sample, DEVANAGARI) or "hi"
        case "arabic":
            return _arabic(sample, letters)
    return script


def _arabic(sample: str, letters: int) -> str:
    if len(_URDU.findall(sample)) > 0.015 * letters:
        return "ur"
    return "fa" if len(_PERSIAN.findall(sample)) > 0.015 * letters else "ar"


def _by_words(sample: str, lists: dict[str, frozenset[str]]) -> str:
    """The language whose little words are met most often, if it is clearly one."""
    words = Counter(_WORD.findall(sample.lower()))
    total = sum(words.values())
    if total < _FEWEST_WORDS:
        return ""
    scores = {code: sum(words[word] for word in known) / total for code, known in lists.items()}
    (best, score), (_, second) = Counter(scores).most_common(2)
    different = sum(word in words for word in lists[best])
    clear = score >= _SHARE and score >= _CLEARER * second and different >= _FEWEST_DIFFERENT
    return best if clear else ""


def _sample(text: str) -> str:
    """The beginning, the middle and the end."""
    if len(text) <= 3 * _SAMPLE:
        return text
    middle = len(text) // 2
    return "\n".join((text[:_SAMPLE], text[middle : middle + _SAMPLE], text[-_SAMPLE:]))
