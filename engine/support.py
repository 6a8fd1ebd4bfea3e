"""Which sentence of the evidence carries a statement, and how well."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from engine.evidence import Evidence
from engine.sentences import content_terms, sentence_spans

_CAPITAL = r"(?:[^\W\d_a-z][\w.’'&/-]*)"
_NUMBER = r"(?:[\w.,’'/-]*\d[\w.,’'/%-]*)"
_NAMES = re.compile(rf"{_NUMBER}|{_CAPITAL}(?:\s+{_CAPITAL})*")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "–": "-", "—": "-", "‑": "-"})


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence [start, end) of the evidence at place `rank` (0 is best), with its content terms."""

    rank: int
    start: int
    end: int
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """The content terms of a question, and the names and numbers it holds, folded."""

    terms: frozenset[str]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, question: str) -> "Asked":
        """A name is a run of words with a capital (the first word aside), or a word with a digit."""
        names = []
        for run in _NAMES.findall(" ".join(question.split()[1:])):
            folded = fold(run).removesuffix("'s").rstrip(".,'-/")
            if content_terms(folded):
                names.append(folded)
        return cls(frozenset(content_terms(question)), tuple(names))

    def named(self, text: str) -> float:
        """Share of the names that stand in the folded `text`; half of a name counts for less than half."""
        if not self.names:
            return 1.0
        return sum(_stands(name, text) for name in self.names) / len(self.names)


def fold(text: str) -> str:
    """Lower case, white space as single blanks, typographic dashes and apostrophes as plain ones."""
    return " ".join(text.translate(_PLAIN).casefold().split())


def _stands(name: str, text: str) -> float:
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
        return 1.0
    words = name.split()
    found = sum(bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)) for word in words)
    return 0.5 * found / len(words) if len(words) > 1 else 0.0


class SentenceIndex:
    """The sentences of some ranked evidence, with term weights: rare among them is telling."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        self.sentences: list[Sentence] = []
        self._texts = [fold(f"{e.title()}\n{e.text}") for e in evidence]
        self._passages = [frozenset(content_terms(text)) for text in self._texts]
        for rank, item in enumerate(evidence):
            for start, end in sentence_spans(item.text):
                self.sentences.append(
                    Sentence(rank, start, end, frozenset(content_terms(item.text[start:end])))
                )
        self._frequency = Counter(term for s in self.sentences for term in s.terms)

    def weight(self, term: str) -> float:
        """Inverse document frequency over the sentences, at least log 2."""
        return log(2 + len(self.sentences) / (1 + self._frequency[term]))

    def coverage(self, wanted: Iterable[str], given: frozenset[str]) -> float:
        """Weighted share of `wanted` terms found in `given`; 0 if nothing is wanted."""
        terms = set(wanted)
        total = sum(self.weight(t) for t in terms)
        return sum(self.weight(t) for t in terms & given) / total if total else 0.0

    def relevance(self, sentence: Sentence, question: "Asked") -> float:
        """How much of the question a sentence takes up; its passage's words and title count a little.

        A name or number of the question that the whole passage lacks means another lease, another drug.
        """
        passage = self._passages[sentence.rank]
        direct = self.coverage(question.terms, sentence.terms)
        fit = 0.75 * direct + 0.25 * self.coverage(question.terms, passage) - 0.04 * sentence.rank
        return fit * (0.4 + 0.6 * question.named(self._texts[sentence.rank]))

    def named(self, question: str) -> float:
        """How well the names and numbers of a question stand in the passage that has most of them (0..1)."""
        asked = Asked.parse(question)
        return max((asked.named(text) for text in self._texts), default=0.0)

    def best_for_question(self, question: str, top: int = 1) -> list[tuple[Sentence, float]]:
        """The `top` sentences that take up most of the question, with their relevance, best first."""
        asked = Asked.parse(question)
        scored = [(s, self.relevance(s, asked)) for s in self.sentences]
        return sorted(scored, key=lambda pair: -pair[1])[:top]

    def best_for_statement(self, statement: str, question: str) -> tuple[Sentence, float] | None:
        """The sentence that supports `statement` best: (sentence, share of the statement's terms it holds,
        0..1).

        Terms the question already holds prove nothing and count only where nothing else is said. A number
        that the sentence lacks makes the support 0. Ties go to the sentence that fits the question better.
        """
        asked = Asked.parse(question)
        said = set(content_terms(statement))
        new = said - asked.terms or said
        if not new:
            return None
        numbers = {t for t in new if t[0].isdigit()}
        scored = []
        for sentence in self.sentences:
            share = 0.0 if numbers - sentence.terms else self.coverage(new, sentence.terms)
            scored.append((share + 0.3 * self.relevance(sentence, asked), share, sentence))
        if not scored:
            return None
        _, share, best = max(scored, key=lambda item: item[0])
        return best, share
