"""From any text a person types to the few terms worth searching for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from storage.fulltext.stop_words import STOP_WORDS

MAX_TERMS = 64
MOST_NAMES = 12
_LONGEST = 100  # characters; longer runs are data, not words
_PHRASE_PARTS = 6

# Scripts written without spaces: about two letters make a word of Chinese or Japanese, three one of Thai.
_PAIRS = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_TRIPLES = "\u0e01-\u0e4e\u0e50-\u0eff\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u17dc-\u17e9"
_UNSPACED = re.compile(f"(?P<pairs>[{_PAIRS}]+)|[{_TRIPLES}]+")
# A word of a spaced script written against an unspaced one, as IL6 in a Chinese sentence.
_OTHER = rf"[^\W_{_PAIRS}{_TRIPLES}]++"
_GLUED = re.compile(rf"(?<=[{_PAIRS}{_TRIPLES}]){_OTHER}|\b{_OTHER}(?=[{_PAIRS}{_TRIPLES}])")
_PLAIN_WORD = re.compile(r"[^\W_]+")
_HANGUL = re.compile("[\uac00-\ud7af]")
_GRAMMATICAL = re.compile("[\u3040-\u309f]+")  # hiragana: endings and particles
_CONTRACTION = re.compile("(?<=\\w)['’](?:s|t|d|m|re|ll|ve)\\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """Distinct search terms: words (several in one term are a phrase) and letter groups of unspaced scripts.

    A gram that ends in "*" stands for every gram that starts so. `names` are the word pairs that look like
    parts of a name ("Harbour Street"), most of which stand in few documents.
    """

    words: tuple[str, ...]
    grams: tuple[str, ...]
    names: tuple[tuple[str, str], ...] = ()

    def without_names(self, names: Iterable[tuple[str, str]]) -> QueryTerms:
        """What else is asked: the terms without the words of these names."""
        named = {part.casefold() for pair in names for part in pair}
        words = tuple(w for w in self.words if named.isdisjoint(w.casefold().split()))
        return QueryTerms(words, self.grams)


def split_query(text: str) -> QueryTerms:
    """The terms of a question, at most 64 of each kind: the rarest-looking, English stop words dropped."""
    return QueryTerms(_choose_words(text), _choose_grams(text), _name_pairs(text))


def gram_text(text: str) -> str:
    """What to index of a text's unspaced scripts: letter groups and words glued to them; often nothing."""
    if text.isascii() or _UNSPACED.search(text) is None:
        return ""
    grams = [gram for run, size in _runs(text) for gram in _index_grams(run, size)]
    return " ".join(grams + _GLUED.findall(text))


def plain_words(text: str) -> str:
    """The words of a text without accents and punctuation, for a database that folds neither as FTS5 does."""
    letters = unicodedata.normalize("NFD", text)
    kept = (letter for letter in letters if not "\u0300" <= letter <= "\u036f")
    spaced = (letter if unicodedata.category(letter)[0] in "LNM" else " " for letter in kept)
    return unicodedata.normalize("NFC", "".join(spaced))


def _choose_words(text: str) -> tuple[str, ...]:
    terms = {word.casefold(): word for word in _GLUED.findall(text) if len(word) <= _LONGEST}
    for chunk in _CONTRACTION.sub("", text).split():
        for term in _chunk_terms(chunk):
            terms.setdefault(term.casefold(), term)
    telling = [term for term in terms.values() if not _is_stop_word(term, text)]
    chosen = telling or list(terms.values())
    if len(chosen) > MAX_TERMS:
        keep = set(sorted(chosen, key=_looks_rare, reverse=True)[:MAX_TERMS])
        chosen = [term for term in chosen if term in keep]
    return tuple(chosen)


def _name_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Neighbours that begin with a capital or a figure; a text's first word tells nothing by its capital."""
    if text.isupper():
        return ()
    found: dict[tuple[str, str], None] = {}
    words = list(_PLAIN_WORD.finditer(text))[1:]
    for one, other in zip(words, words[1:], strict=False):
        between = text[one.end() : other.start()].strip()
        pair = (one[0], other[0])
        capital = all(word[0].isupper() or word[0].isdigit() for word in pair)
        if capital and between in ("", "-", "&") and any(_is_name(word, text) for word in pair):
            found[pair] = None
    return tuple(found)[:MOST_NAMES]


def _is_name(word: str, text: str) -> bool:
    return word[0].isupper() and not _is_stop_word(word, text)


def _chunk_terms(chunk: str) -> Iterable[str]:
    """ "fever," gives fever; "COVID-19" the phrase COVID 19 and COVID; "3.5" the phrase 3 5."""
    kept = groupby(chunk, key=lambda letter: unicodedata.category(letter)[0] in "LNM")
    parts = ["".join(letters) for is_word, letters in kept if is_word]
    parts = [part for part in parts if len(part) <= _LONGEST and not _is_unspaced(part)]
    if len(parts) == 1:
        yield parts[0]
    elif parts:
        if len(parts) <= _PHRASE_PARTS:
            yield " ".join(parts)
        yield from (part for part in parts if len(part) > 2 and not part.isnumeric())


def _is_stop_word(term: str, text: str) -> bool:
    """WHO, IT and US in a sentence that is not all capitals are names."""
    if len(term) > 1 and term.isupper() and not text.isupper():
        return False
    return term.casefold() in STOP_WORDS or (len(term) == 1 and term.isascii() and term.isalpha())


def _is_unspaced(part: str) -> bool:
    return _UNSPACED.search(part) is not None and _HANGUL.search(part) is None


def _looks_rare(term: str) -> int:
    digits = any(letter.isdigit() for letter in term)
    capitals = any(letter.isupper() for letter in term[1:])
    return min(len(term), 14) + 6 * digits + 4 * capitals


def _choose_grams(text: str) -> tuple[str, ...]:
    grams = dict.fromkeys(gram for run, size in _runs(text) for gram in _query_grams(run, size))
    chosen = [gram for gram in grams if not _GRAMMATICAL.fullmatch(gram)] or list(grams)
    stride = -(-len(chosen) // MAX_TERMS) or 1
    return tuple(chosen[::stride])


def _runs(text: str) -> Iterable[tuple[str, int]]:
    for match in _UNSPACED.finditer(text):
        yield match[0], 2 if match["pairs"] else 3


def _index_grams(run: str, size: int) -> Iterable[str]:
    """Every group of `size` letters, and the shorter ends, so that a prefix finds any letter."""
    return (run[start : start + size] for start in range(len(run)))


def _query_grams(run: str, size: int) -> Iterable[str]:
    if len(run) < size:
        return [run + "*"]
    return (run[start : start + size] for start in range(len(run) - size + 1))
