"""A comparison as it is stored: what each document answers, what both say nearly alike, what one alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage import CitationData, Document, PassageText

if TYPE_CHECKING:
    from engine.answering import AnswerResult


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
    def place(self) -> tuple[int, int]:
        """Passage and first character, to tell sentences apart."""
        return self.passage.id, self.start

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
