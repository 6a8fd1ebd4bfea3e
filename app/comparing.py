"""Two documents compared on a question: the answer of each with its own quotes, the sentences in which they
say the same or nearly so, and those to the question that stand in one of them alone.

A sentence stands in one document alone when no sentence of the other holds most of its words, rare words
counting more; the same said in wholly other words would not be noticed, and the page says so.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from app.answering import cite_quotes, run_stats
from app.comparison import Said, Sheet, Side, sentences_of
from app.errors import UserError
from app.inquiry import Inquiry, cite
from app.measuring import power_values
from app.recalling import Context, as_evidence, find_candidates, weigh
from app.scope import same_name
from storage import Document, passages

SAME = 0.5  # share of a sentence's words, by rarity, that its counterpart holds
RELEVANT, OF_THE_BEST = 0.2, 0.25
LISTED = 8  # sentences looked at for each document
LOOKED_IN = 6  # passages of the other document searched for a counterpart
FEWEST_TERMS = 4


class Comparing(Inquiry):
    """One question put to two documents."""

    def run(self) -> None:
        """Answer from each, look for counterparts, store both sides."""
        self.load_model()
        started = time.monotonic()
        with self.services.meter.measure() as power:
            context = self.services.contexts.get(self.services, self.finding.archive_id)
            sides = [self._side(context, document) for document in self._two()]
            self.say("Comparing their sentences")
            pairs, only = self._compare(sides)
        waited_s = time.monotonic() - started
        run = self.run_values(context) | run_stats(sides[0].result, 0.0) | power_values(power)
        run["ttft_s"] = min(waited_s, run["ttft_s"] or waited_s)
        self._write(context, sides, pairs, only, run)

    def _two(self) -> list[Document]:
        """The documents in the order in which they were named."""
        names = self.request.documents

        def place(row: Document) -> int:
            return next((at for at, name in enumerate(names) if same_name(name, row.name)), len(names))

        rows = sorted(self.documents(), key=place)
        if len(rows) != 2:
            hint = "See the Library for documents that were not read."
            raise UserError("not_readable", "Both documents must have text to be compared.", hint)
        return rows

    def _side(self, context: Context, document: Document) -> Side:
        from engine.answering import answer

        self.say(f"Asking {document.name}")
        engine, archive_id = self.services.engine, self.finding.archive_id
        found = find_candidates(self.services, context, archive_id, self.question, [document.id])
        ranked = weigh(engine, self.question, found)
        for event in answer(engine, context.state, self.question, ranked):
            self.task.check()
            if event.result is not None:
                return Side(document, found, event.result)
            self.show(f"{document.name}: {event.text_so_far}")
        raise RuntimeError("the engine ended an answer without a result")

    def _compare(self, sides: Sequence[Side]) -> tuple[list[tuple[Said, Said]], list[list[Said]]]:
        """Sentences said by both, left and right, and those that each says alone."""
        words = Words(sentence for side in sides for sentence in sentences_of(side.found))
        pairs: dict[tuple[str, str], tuple[Said, Said]] = {}
        only: list[list[Said]] = [[], []]
        for place, side in enumerate(sides):
            other = sides[1 - place].document
            for said in self._to_the_point(side):
                self.task.check()
                twin = self._counterpart(said, other, words)
                if twin is None:
                    only[place].append(said)
                else:
                    pair = (said, twin) if place == 0 else (twin, said)
                    pairs.setdefault((pair[0].text, pair[1].text), pair)
        paired = {one.place for pair in pairs.values() for one in pair}
        return list(pairs.values()), [[one for one in side if one.place not in paired] for side in only]

    def _to_the_point(self, side: Side) -> list[Said]:
        """The sentences of a side that fit the question, best first."""
        from engine.support import Asked, SentenceIndex

        found, asked = side.found, Asked.parse(self.question).terms
        ranked = SentenceIndex(as_evidence(found)).best_for_question(self.question, LISTED)
        least = max(RELEVANT, OF_THE_BEST * ranked[0][1]) if ranked else 0.0
        chosen = []
        for sentence, relevance in ranked:
            said = Said(found[sentence.rank], sentence.start, sentence.end, sentence.terms)
            fits = relevance >= least and asked & sentence.terms and len(sentence.terms) >= FEWEST_TERMS
            if fits and said.whole:
                chosen.append(said)
        return chosen

    def _counterpart(self, said: Said, other: Document, words: Words) -> Said | None:
        """The sentence of the other document that holds most of this one's words, if it holds enough."""
        with self.services.database.session() as s:
            hits = passages.search_text(s, self.finding.archive_id, said.text, LOOKED_IN, [other.id])
            texts = passages.get_passages(s, [key for key, _ in hits])
        listed = [(words.share(said.terms, one.terms), one) for one in sentences_of(texts)]
        best = max(listed, key=lambda pair: pair[0], default=None)
        return best[1] if best is not None and best[0] >= SAME else None

    def _write(
        self,
        context: Context,
        sides: Sequence[Side],
        pairs: Sequence[tuple[Said, Said]],
        only: Sequence[Sequence[Said]],
        run: dict[str, Any],
    ) -> None:
        sheet = Sheet()
        with self.services.database.session() as s:
            for side in sides:
                sheet.answers(side, cite_quotes(s, side.result.quotes, side.found, len(sheet.cited)))
            for left, right in pairs:
                sheet.pair(left, right, [self._cite(s, sheet, one) for one in (left, right)])
            for side, sentences in zip(sides, only, strict=True):
                sheet.alone(side, [self._cite(s, sheet, one) for one in sentences])
        found = [side.result.confidence for side in sides if side.result.status != "not_found"]
        details = {"sides": sheet.sides, "pairs": sheet.pairs, "only": sheet.only}
        confidence = min(found, default=None)
        self.store(context, sheet.text(), status_of(sides), confidence, sheet.cited, run, **details)

    @staticmethod
    def _cite(s: Any, sheet: Sheet, said: Said) -> int:
        """The number of a sentence's citation; the same quote is cited once."""
        data = cite(s, len(sheet.cited) + 1, said.passage, said.start, said.end)
        return sheet.add(data)


class Words:
    """How much words weigh: rare among the sentences at hand is telling."""

    def __init__(self, sentences: Iterable[Said]) -> None:
        listed = list(sentences)
        self._count = len(listed)
        self._having = Counter(term for one in listed for term in one.terms)

    def share(self, wanted: frozenset[str], given: frozenset[str]) -> float:
        """Weighted share of the wanted words that are given."""
        total = sum(map(self._weight, wanted))
        return sum(map(self._weight, wanted & given)) / total if total else 0.0

    def _weight(self, term: str) -> float:
        return math.log(2 + self._count / (1 + self._having[term]))


def status_of(sides: Sequence[Side]) -> str:
    """Of the comparison as a whole."""
    known = {side.result.status for side in sides}
    if known == {"not_found"}:
        return "not_found"
    return "supported" if known == {"supported"} else "partly_supported"
