"""From a question and a document to a cell: a short answer and the one sentence it stands on, or "not found".

Searching is done once a question for all documents: by words and by recall code, every passage competes.
What is left for each cell is choosing among the sentences of at most three passages. The model reads the few
that share the most telling words with the question; how it weighs them, what it takes for found and how it
words the answer is ordinary answering, with a sentence in the place of a passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from app.services import Services
from app.telling import Words
from storage import CellData, MatrixQuestion, PassageText, documents, passages
from storage.export.record import MARK

if TYPE_CHECKING:
    from engine.evidence import Evidence

PASSAGES = 3  # a cell's candidates
CODE_WEIGHT = 0.5  # of a rank by code beside one by words
OPENING = 2  # passages of a document in which the search finds nothing
EVERY = 1_000_000_000
SAMPLE = 300  # passages that tell how common a word is in the archive
READ = 3  # sentences the model reads for a cell at most
NEAR = 0.6  # and only those that share nearly as many telling words as the best one
TELLING = 0.3  # where none shares as much, words say little:
READ_MORE = 8  # then so many are read, from the best passage on
FEWEST_TERMS = 3  # a shorter sentence is a heading or a number
LONGEST = 400  # characters of a sentence shown as the answer; the quote stays whole
ANSWER_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence [start, end) of a passage, and how many telling words it shares with the question."""

    passage: PassageText
    start: int
    end: int
    shared: float

    @property
    def text(self) -> str:
        """Its words."""
        return self.passage.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Choice:
    """The sentence chosen, the probability that it answers, and the answer in the model's or its words."""

    candidate: Candidate
    probability: float
    answer: str = ""


class CellReader:
    """Answers cells of one archive; holds each question's search and counts the tokens the model reads."""

    def __init__(self, services: Services, archive_id: int) -> None:
        self._services = services
        self._archive_id = archive_id
        self._found: dict[int, dict[int, list[int]]] = {}
        self._alone: dict[int, float] = {}
        self.tokens_read = 0
        with services.database.session() as s:
            self._ids, owners = passages.passage_documents(s, archive_id)
            self._codes = passages.load_codes(s, archive_id, services.engine.fingerprint)
        self._owner = dict(zip(self._ids.tolist(), owners.tolist(), strict=True))
        self._passages: dict[int, list[int]] = {}
        for passage_id, document_id in self._owner.items():
            self._passages.setdefault(document_id, []).append(passage_id)
        step = max(1, len(self._ids) // SAMPLE)
        with services.database.session() as s:
            self._words = Words(item.text for item in passages.get_passages(s, self._ids[::step].tolist()))

    def answer(self, document_id: int, questions: Sequence[MatrixQuestion]) -> dict[int, CellData]:
        """The cells of one document by question id; at most a few hundred tokens are read for each."""
        wanted = {column.id: self._candidates(column, document_id) for column in questions}
        with self._services.database.session() as s:
            every = sorted({item for ids in wanted.values() for item in ids})
            texts = {item.id: item for item in passages.get_passages(s, every)}
        chosen = {
            column.id: self._choose(column, [texts[item] for item in wanted[column.id] if item in texts])
            for column in questions
        }
        with self._services.database.session() as s:
            return {key: _cell(s, choice) for key, choice in chosen.items()}

    def _candidates(self, column: MatrixQuestion, document_id: int) -> list[int]:
        if column.id not in self._found:
            self._found[column.id] = self._search(
                f"{column.question} {column.terms}".strip(), column.question
            )
        own = self._passages.get(document_id, [])
        if len(own) <= PASSAGES:
            return own
        return self._found[column.id].get(document_id) or own[:OPENING]

    def _search(self, words: str, question: str) -> dict[int, list[int]]:
        """The best passages of every document, by one search over the whole archive."""
        from engine.recall import fuse, search_codes

        engine = self._services.engine
        with self._services.database.session() as s:
            by_words = [item for item, _ in passages.search_text(s, self._archive_id, words, EVERY)]
        by_code: list[int] = []
        if engine.code_bits and len(self._codes[0]):
            rows, _ = search_codes(self._codes[1], engine.encode_query(question), len(self._codes[0]))
            by_code = self._codes[0][rows].tolist()
        first, second = self._by_document(by_words), self._by_document(by_code)
        weights = [1.0, CODE_WEIGHT]
        return {
            document: [
                item for item, _ in fuse([first.get(document, []), second.get(document, [])], weights=weights)
            ][:PASSAGES]
            for document in first.keys() | second.keys()
        }

    def _by_document(self, ranked: Sequence[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for passage_id in ranked:
            owner = self._owner.get(passage_id)
            if owner is None:  # parsed after this reader was made
                continue
            best = found.setdefault(owner, [])
            if len(best) < PASSAGES:
                best.append(passage_id)
        return found

    def _choose(self, column: MatrixQuestion, found: Sequence[PassageText]) -> Choice | None:
        """The likeliest sentence, and what it answers where it is likely enough."""
        from engine.answering import FOUND_NEEDED, rank_evidence
        from engine.evidence import Evidence
        from engine.refusal import DOCUMENT, found_probability

        listed = self._listed(column, found)
        items = [
            Evidence(number, item.passage.document, item.passage.heading, item.text)
            for number, item in enumerate(listed)
        ]
        weighed = rank_evidence(
            self._services.engine, column.question, items, len(items), self._likelihood_alone(column)
        )
        self.tokens_read += sum(item.tokens for item in weighed)
        likely = {
            item.evidence.id: found_probability(
                item.gain, item.odds, min(1.0, listed[item.evidence.id].shared), score=DOCUMENT
            )
            for item in weighed
        }
        if not likely:
            return None
        best = max(likely, key=lambda number: likely[number])
        chosen = Choice(listed[best], likely[best])
        if chosen.probability < FOUND_NEEDED:
            return chosen
        return replace(chosen, answer=self._worded(column, items[best], chosen.probability))

    def _worded(self, column: MatrixQuestion, sentence: Evidence, probability: float) -> str:
        """The model's short answer where the sentence carries it; else the sentence. A model that was not
        trained to answer from passages is not asked to.
        """
        from engine.answering import worded

        engine = self._services.engine
        if not engine.config.grounded:
            return sentence.text
        for event in worded(engine, None, column.question, [sentence], probability, ANSWER_TOKENS):
            if event.result is not None:
                stats = event.result.stats
                self.tokens_read += stats.prompt_tokens + stats.new_tokens
                return MARK.sub("", event.result.answer).strip()
        return sentence.text

    def _listed(self, column: MatrixQuestion, found: Sequence[PassageText]) -> list[Candidate]:
        """The sentences worth the model's reading, those of most shared words first."""
        from engine.sentences import content_terms, sentence_spans

        asked, extra = frozenset(content_terms(column.question)), frozenset(content_terms(column.terms))
        listed = []
        for passage in found:
            heading = frozenset(content_terms(passage.heading))
            for start, end in sentence_spans(passage.text):
                said = set(content_terms(passage.text[start:end]))
                if len(said) >= FEWEST_TERMS and said - asked:
                    shared = self._words.shared(asked, extra, heading, said)
                    listed.append(Candidate(passage, start, end, shared))
        if max((candidate.shared for candidate in listed), default=0.0) < TELLING:
            return listed[:READ_MORE]
        listed.sort(key=lambda candidate: -candidate.shared)
        return [candidate for candidate in listed[:READ] if candidate.shared >= listed[0].shared - NEAR]

    def _likelihood_alone(self, column: MatrixQuestion) -> float:
        """How likely the model finds the question by itself; read once for all documents."""
        from engine.evidence import question_alone

        if column.id not in self._alone:
            self._alone[column.id] = question_alone(self._services.engine, column.question)
        return self._alone[column.id]


def _cell(s: Session, choice: Choice | None) -> CellData:
    """The chosen sentence at its place in the document, checked once more against the stored text."""
    from engine.answering import FOUND_NEEDED, SURE

    if choice is None or choice.probability < FOUND_NEEDED:
        return CellData("not_found", confidence=None if choice is None else round(1 - choice.probability, 3))
    passage, candidate = choice.candidate.passage, choice.candidate
    quote = candidate.text
    start, end = passage.start + candidate.start, passage.start + candidate.end
    verified = bool(quote) and documents.document_text(s, passage.document_id, start, end) == quote
    return CellData(
        "supported" if verified and choice.probability >= SURE else "partly_supported",
        shortened(choice.answer or quote),
        round(choice.probability, 3),
        documents.page_at(s, passage.document_id, start).number,
        start,
        end,
        quote,
        verified,
    )


def shortened(quote: str) -> str:
    """A sentence on one line, cut at a word where it is very long."""
    line = " ".join(quote.split())
    return line if len(line) <= LONGEST else line[:LONGEST].rsplit(" ", 1)[0] + " …"
