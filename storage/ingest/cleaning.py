"""Characters as the archive stores them: NFC, line feeds, no control characters, no invisible ones."""

from __future__ import annotations

import re
import unicodedata

_LINE_ENDS = re.compile("\r\n?|[\x0b\x85\u2028\u2029]")
# Soft hyphen, zero-width space and joiner mark, byte order mark, and the marks that reorder shown text.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_SPACES = re.compile("[\xa0\u2000-\u200a\u202f\u205f]")
_PRESENTATION = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb50-\ufdfb\ufe70-\ufefc]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_BLANK_RUNS = re.compile(r"\n{3,}")


def clean(text: str) -> str:
    """Normalise characters; lines and form feeds stay where they are."""
    text = _LINE_ENDS.sub("\n", text) if not text.isascii() or "\r" in text or "\x0b" in text else text
    text = _INVISIBLE.sub("", text)
    if text.isascii():
        return text
    text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
    text = _SPACES.sub(" ", text)
    text = _PRESENTATION.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    """Clean text with every run of white space made one space."""
    return " ".join(clean(text).split())


def tidy_lines(text: str) -> str:
    """Drop white space at line ends and more than one blank line in a row."""
    return _BLANK_RUNS.sub("\n\n", "\n".join(line.rstrip() for line in text.split("\n")))


def raised(before: str, figure: str) -> str:
    """A raised figure: a power ("10^3", "m^2") or, after a word or a stop, a note's mark ("word [3]")."""
    word = re.search(r"[^\W\d_]*\Z", before)
    after_word = bool(word and len(word[0]) > 3) or before.endswith((".", ",", ";", ":", ")", "”", '"'))
    return f" [{figure}]" if after_word and figure.isdecimal() else f"^{figure}"
