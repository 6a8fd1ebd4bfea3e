"""The sentences that stand for a document: those of its telling words, in passages close to all its others.

A sentence scores by its words (frequent in the document, rare in the archive: tf-idf), by how near its
passage's recall code lies to those of all passages of the document (degree centrality, as LexRank has it,
over spike codes), and by standing first under its heading. The best of these may be weighed by the model
(app/weighing.py), whose word then counts most. What repeats a chosen sentence is passed over.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

import numpy as np
from numpy.typing import NDArray

from storage import PassageText
from storage.fulltext.terms import gram_text

BY_WORDS, BY_CODE, BY_PLACE, BY_HEADING = 1.0, 0.5, 0.25, 0.3
REPEATS, SAME_SECTION = 0.9, 0.2
BY_LIKELIHOOD, BY_SCORE = 0.3, 0.09  # of standard deviations within the sentences that the model weighs
WEIGHED_EACH, WEIGHED_MORE = 2.2, 6  # so many are weighed for each that is wanted, and some more
REACH = 2.5  # standard deviations; more counts as this
MOST = REACH * (BY_LIKELIHOOD + BY_SCORE)
SHORTEST, LONGEST = 50, 420  # characters of a sentence worth quoting
FEWEST_TERMS = 4
TERMS = 12  # words that tell what a document is about
_ENDS = re.compile(r"[.!?。！？][\"'”’)\]]*$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence [start, end) of a passage, what it scores alone, its terms, and its section's heading."""

    passage: PassageText
    start: int
    end: int
    score: float
    terms: frozenset[str]


Weigh = Callable[[Candidate], float]


class Rarity:
    """How rare words are in the archive, told from a sample of its passages."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._having: Counter[str] = Counter()
        self._passages = 0
        for text in texts:
            self._passages += 1
            self._having.update(set(terms_of(text)))

    def weight(self, term: str) -> float:
        """Inverse document frequency, above 0."""
        return math.log(1 + (1 + self._passages) / (1 + self._having[term]))


def terms_of(text: str) -> list[str]:
    """Content words by their stem; of scripts without spaces, letter groups."""
    from engine.sentences import content_terms

    return gram_text(text).split() or content_terms(text)


def code_centrality(codes: Sequence[bytes | None]) -> NDArray[np.float64]:
    """Mean similarity of each passage's code to those of all passages, scaled to 0..1; 0 without a code.

    The sum over all pairs is one product with the column sums of the codes as signs: linear in passages.
    """
    known = [place for place, code in enumerate(codes) if code]
    scores = np.zeros(len(codes))
    if len(known) < 2:
        return scores
    packed = np.frombuffer(b"".join(codes[place] or b"" for place in known), np.uint8).reshape(len(known), -1)
    signs = np.unpackbits(packed, axis=1).astype(np.int8) * 2 - 1
    close = signs @ signs.sum(axis=0, dtype=np.int64)
    least, most = close.min(), close.max()
    scores[known] = (close - least) / (most - least) if most > least else 1.0
    return scores


def document_words(found: Sequence[PassageText], rarity: Rarity) -> dict[str, float]:
    """The weight of each of a document's words."""
    counts = Counter(term for item in found for term in terms_of(item.text))
    return {term: math.log1p(number) * rarity.weight(term) for term, number in counts.items()}


def telling_words(found: Sequence[PassageText], weights: Mapping[str, float]) -> dict[str, str]:
    """The words that tell most of a document: {stem: the form it stands in most often}."""
    worded = [term for term in weights if not term[0].isdigit() and len(term) > 1]
    best = sorted(worded, key=lambda term: -weights[term])[:TERMS]
    forms: dict[str, Counter[str]] = {term: Counter() for term in best}
    for item in found:
        for word in re.findall(r"[^\W\d_][\w’'-]*", item.text):
            for term in terms_of(word):
                if term in forms:
                    forms[term][word if word.isupper() else word.lower()] += 1
    return {term: (forms[term].most_common(1) or [(term, 0)])[0][0] for term in best}


def choose_sentences(
    found: Sequence[PassageText],
    codes: Mapping[int, bytes],
    weights: Mapping[str, float],
    count: int,
    weigh: Weigh | None = None,
) -> list[Candidate]:
    """The `count` sentences that stand for a document best, in its order; fewer if it has no more. Their
    scores lie between 0 and 1. `weigh`: how likely the model finds one; only the best are weighed.
    """
    close = code_centrality([codes.get(item.id) for item in found])
    listed = _candidates(found, close, weights, strict=True) or _candidates(
        found, close, weights, strict=False
    )
    scale = 1.0
    if weigh is not None and len(listed) > count:
        listed, scale = weighed(listed, count, weigh), 2 * MOST
    chosen: list[Candidate] = []
    while listed and len(chosen) < count:
        best = max(listed, key=lambda one: _worth(one, chosen))
        chosen.append(best)
        listed = [one for one in listed if one is not best and one.terms != best.terms]
    chosen.sort(key=lambda one: (one.passage.start, one.start))
    return [replace(one, score=one.score / scale) for one in chosen]


def weighed_of(count: int) -> int:
    """How many sentences are weighed at most where `count` are wanted."""
    return round(WEIGHED_EACH * count) + WEIGHED_MORE


def weighed(listed: Sequence[Candidate], count: int, weigh: Weigh) -> list[Candidate]:
    """The best of the list with scores, 0 to 2 `MOST`, that the model has a part in."""
    best = sorted(listed, key=lambda one: -one.score)[: weighed_of(count)]
    likely, before = _standard([weigh(one) for one in best]), _standard([one.score for one in best])
    scores = [MOST + BY_LIKELIHOOD * a + BY_SCORE * b for a, b in zip(likely, before, strict=True)]
    return [replace(one, score=score) for one, score in zip(best, scores, strict=True)]


def _standard(values: Sequence[float]) -> list[float]:
    """In standard deviations from their mean."""
    middle, spread = fmean(values), pstdev(values) or 1.0
    return [max(-REACH, min(REACH, (value - middle) / spread)) for value in values]


def _worth(one: Candidate, chosen: Sequence[Candidate]) -> float:
    """A sentence's score beside those chosen already."""
    repeats = max((len(one.terms & other.terms) / len(one.terms) for other in chosen), default=0.0)
    beside = sum(other.passage.heading == one.passage.heading for other in chosen)
    return one.score - REPEATS * repeats - SAME_SECTION * beside


def _candidates(
    found: Sequence[PassageText], close: NDArray[np.float64], weights: Mapping[str, float], *, strict: bool
) -> list[Candidate]:
    from engine.sentences import sentence_spans

    listed, heading = [], None
    for item, centrality in zip(found, close, strict=True):
        above = set(terms_of(item.heading))
        opens = item.heading != heading
        heading = item.heading
        for start, end in sentence_spans(item.text):
            sentence = item.text[start:end]
            terms = frozenset(terms_of(sentence))
            if not _worth_quoting(sentence, terms, strict):
                continue
            score = BY_WORDS * _density(terms, weights) + BY_CODE * float(centrality) + BY_PLACE * opens
            score += BY_HEADING * (len(above & terms) / len(above) if above else 0.0)
            listed.append(Candidate(item, start, end, score, terms))
            opens = False
    most = max((one.score for one in listed), default=1.0) or 1.0
    return [Candidate(one.passage, one.start, one.end, one.score / most, one.terms) for one in listed]


def _density(terms: frozenset[str], weights: Mapping[str, float]) -> float:
    """Weight of the words, so that neither the shortest nor the longest sentence wins by its length."""
    most = max(weights.values(), default=1.0) or 1.0
    return math.fsum(weights.get(term, 0.0) for term in terms) / most / (len(terms) + 10)


def _worth_quoting(sentence: str, terms: frozenset[str], strict: bool) -> bool:
    """A whole sentence, no heading, table row or list of numbers; not `strict`: anything with some words."""
    if len(terms) < FEWEST_TERMS:
        return not strict and bool(terms)
    if not strict:
        return True
    numbers = sum(term[0].isdigit() for term in terms)
    tabular = sentence.count(" | ") > 1 or sentence.count(": ") > 2 or sentence.count(";") > 5
    if sentence[0].islower():  # the end of a sentence that a line break or a full stop has cut
        return False
    fits = len(sentence) <= LONGEST and (len(sentence) >= SHORTEST or not sentence.isascii())
    return fits and _ENDS.search(sentence) is not None and numbers * 2 < len(terms) and not tabular
