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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.answering import cite_quotes, run_stats
from app.inquiry import Inquiry, cite
from app.measuring import power_values
from app.recalling import EVIDENCE, Context, as_evidence, find_candidates
from storage import CitationData, Document, PassageText, passages

if TYPE_CHECKING:
    from engine.answering import AnswerResult

SAME = 0.5  # share of a sentence's words, by rarity, that its counterpart holds
RELEVANT, OF_THE_BEST = 0.2, 0.25
LISTED = 8  # sentences looked at for each document
LOOKED_IN = 6  # passages of the other document searched for a counterpart
FEWEST_TERMS = 4


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence [start, end) of a passage and its content words."""

    passage: PassageText
    start: int
    end: int
    terms: frozenset[str]

    @property
    def text(self) -> str:
        """As it stands, on one line."""
        return " ".join(self.passage.text[self.start : self.end].split())

    @property
    def whole(self) -> bool:
        """Neither a heading nor the end of a sentence that was cut."""
        return self.text.endswith(tuple(".!?。！？")) and not self.text[0].islower()


@dataclass(frozen=True, slots=True)
class Side:
    """What one document answers."""

    document: Document
    found: list[PassageText]
    result: AnswerResult


class Comparing(Inquiry):
    """One question put to two documents."""

    def run(self) -> None:
        """Answer from each, look for counterparts, store both sides."""
        self.load_model()
        started = time.monotonic()
        with self.services.meter.measure() as power:
            context = self.services.contexts.get(self.services, self.finding.archive_id)
            sides = [self._side(context, document) for document in self.documents()[:2]]
            self.say("Comparing their sentences")
            pairs, only = self._compare(sides)
        waited_s = time.monotonic() - started
        run = self.run_values(context) | run_stats(sides[0].result, 0.0) | power_values(power)
        run["ttft_s"] = min(waited_s, run["ttft_s"] or waited_s)
        self._write(context, sides, pairs, only, run)

    def _side(self, context: Context, document: Document) -> Side:
        from engine.answering import answer, rank_evidence

        self.say(f"Asking {document.name}")
        engine, archive_id = self.services.engine, self.finding.archive_id
        found = find_candidates(self.services, context, archive_id, self.question, [document.id])
        ranked = rank_evidence(engine, self.question, as_evidence(found), EVIDENCE)
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
        return list(pairs.values()), only

    def _to_the_point(self, side: Side) -> list[Said]:
        """The sentences of a side that fit the question, best first."""
        from engine.support import SentenceIndex

        found = side.found
        ranked = SentenceIndex(as_evidence(found)).best_for_question(self.question, LISTED)
        least = max(RELEVANT, OF_THE_BEST * ranked[0][1]) if ranked else 0.0
        chosen = []
        for sentence, relevance in ranked:
            said = Said(found[sentence.rank], sentence.start, sentence.end, sentence.terms)
            if relevance >= least and len(sentence.terms) >= FEWEST_TERMS and said.whole:
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


class Sheet:
    """The comparison as it is stored: citations numbered through, and who says what."""

    def __init__(self) -> None:
        self.cited: list[CitationData] = []
        self.sides: list[dict[str, Any]] = []
        self.pairs: list[dict[str, Any]] = []
        self.only: list[dict[str, Any]] = []
        self._texts: list[str] = []

    def add(self, data: CitationData) -> int:
        """Cite; a place that is cited already keeps its number."""
        for known in self.cited:
            if (known.document_id, known.start, known.end) == (data.document_id, data.start, data.end):
                return known.number
        self.cited.append(data)
        return data.number

    def answers(self, side: Side, cited: Sequence[CitationData]) -> None:
        """One document's answer, its marks numbered on."""
        before, result = len(self.cited), side.result
        self.cited += cited
        text = result.answer
        for quote in sorted(result.quotes, key=lambda quote: -quote.number):
            text = text.replace(f"[{quote.number}]", f"[{quote.number + before}]")
        if result.status == "not_found":
            text = "This document does not say."
        numbers = [item.number for item in cited]
        about = {"document": side.document.name, "status": result.status, "confidence": result.confidence}
        self.sides.append({**about, "answer": text, "citations": numbers})
        self._texts.append(f"{side.document.name}: {text}")

    def pair(self, left: Said, right: Said, numbers: Sequence[int]) -> None:
        """A sentence of each that say nearly the same, and the words in which they differ."""
        words = {"left_words": words_beyond(left, right), "right_words": words_beyond(right, left)}
        self.pairs.append({"left": numbers[0], "right": numbers[1], **words})
        beyond = " / ".join(", ".join(listed) or "nothing" for listed in words.values())
        marks = "".join(f"[{number}]" for number in numbers)
        self._texts.append(f"Nearly the same in both {marks}, but for the words: {beyond}")

    def alone(self, side: Side, numbers: Sequence[int]) -> None:
        """What one document says alone."""
        name = side.document.name
        self.only.append({"document": name, "citations": list(numbers)})
        if numbers:
            quotes = {item.number: " ".join(item.quote.split()) for item in self.cited}
            listed = " ".join(f"“{quotes[number]}” [{number}]" for number in numbers)
            self._texts.append(f"Only in {name}: {listed}")

    def text(self) -> str:
        """The whole as text, for exports and the terminal."""
        return "\n\n".join(self._texts)


def sentences_of(found: Iterable[PassageText]) -> list[Said]:
    """All sentences of these passages."""
    from engine.sentences import content_terms, sentence_spans

    return [
        Said(item, start, end, frozenset(content_terms(item.text[start:end])))
        for item in found
        for start, end in sentence_spans(item.text)
    ]


def words_beyond(one: Said, other: Said) -> list[str]:
    """The words of a sentence that its counterpart lacks, as they stand."""
    from engine.sentences import content_terms

    words = [word.strip(".,;:()[]“”\"'") for word in one.text.split()]
    return list(dict.fromkeys(word for word in words if set(content_terms(word)) - other.terms))


def status_of(sides: Sequence[Side]) -> str:
    """Of the comparison as a whole."""
    known = {side.result.status for side in sides}
    if known == {"not_found"}:
        return "not_found"
    return "supported" if known == {"supported"} else "partly_supported"
