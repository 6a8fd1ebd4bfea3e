"""How telling a word is among the sentences of an archive: what one of them has is, what each has is not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

PER_EXTRA, PER_HEADING = 0.7, 0.5  # what a template's other words, and words of the heading, count
# Words for the document itself: each of its sentences is about the agreement, the study.
ITSELF = "agreement contract document study trial paper article report text file"


class Words:
    """Weights of words, from a sample of texts: 0 if every sentence has a word, 1 if none has it."""

    def __init__(self, texts: Iterable[str]) -> None:
        from engine.sentences import content_terms, sentence_spans

        self._sentences, self._having = 1, Counter[str]()
        self._itself = frozenset(content_terms(ITSELF))
        for text in texts:
            for start, end in sentence_spans(text):
                self._sentences += 1
                self._having.update(set(content_terms(text[start:end])))

    def weigh(self, terms: Iterable[str]) -> float:
        """The sum over distinct words."""
        most = math.log(1 + self._sentences)
        telling = set(terms) - self._itself
        return sum(math.log((1 + self._sentences) / (1 + self._having[term])) for term in telling) / most

    def shared(
        self, asked: frozenset[str], extra: frozenset[str], heading: frozenset[str], said: set[str]
    ) -> float:
        """How many telling words a sentence takes up of a question and of its template's other words."""
        above = (asked | extra) & heading - said
        own = self.weigh(asked & said) + PER_EXTRA * self.weigh(extra - asked & said)
        return own + PER_HEADING * self.weigh(above)
