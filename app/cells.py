"""From a question and a document to a cell: the one sentence that answers, quoted, or "not found".

Searching is done once a question for all documents: by words and by recall code, every passage competes.
What is left for each cell is choosing among the sentences of at most three passages, of which the model
reads the two or three that share most with the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from app.recalling import CODE_WEIGHT, as_evidence
from app.services import Services
from storage import CellData, MatrixQuestion, PassageText, documents, passages

if TYPE_CHECKING:
    from engine.support import Sentence

PASSAGES = 3  # a cell's candidates
OPENING = 2  # passages of a document in which the search finds nothing
EVERY = 1_000_000_000
READ = 3  # sentences the model reads for a cell at most
NEAR = 0.25  # and only those whose share of the question's words comes this close to the best one's
LONGEST = 400  # characters of a sentence shown as the answer; the quote stays whole


@dataclass(frozen=True, slots=True)
class Choice:
    """A sentence of a passage, and how sure it is that it answers."""

    passage: PassageText
    start: int
    end: int
    probability: float
    relevance: float


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
            self._found[column.id] = self._search(f"{column.question} {column.terms}".strip(), column.question)
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
            document: [item for item, _ in fuse([first.get(document, []), second.get(document, [])], weights=weights)][
                :PASSAGES
            ]
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
        from engine.answering import PER_NAT
        from engine.refusal import found_probability
        from engine.support import Asked, SentenceIndex

        index = SentenceIndex(as_evidence(found))
        listed = index.best_for_question(f"{column.question} {column.terms}", READ)
        if not listed:
            return None
        listed = [(sentence, fit) for sentence, fit in listed if fit >= listed[0][1] - NEAR]
        gains = [self._gain(column, found[sentence.rank], sentence) for sentence, _ in listed]
        best = max(range(len(listed)), key=lambda at: listed[at][1] + PER_NAT * gains[at])
        sentence = listed[best][0]
        relevance = index.relevance(sentence, Asked.parse(column.question))
        probability = found_probability(gains[best], relevance, index.named(column.question))
        return Choice(found[sentence.rank], sentence.start, sentence.end, probability, relevance)

    def _gain(self, column: MatrixQuestion, passage: PassageText, sentence: Sentence) -> float:
        """What reading the sentence adds to the question's mean log likelihood (nats a token)."""
        if column.id not in self._alone:
            self._alone[column.id] = self._likelihood("", "", column.question)
        text = passage.text[sentence.start : sentence.end]
        return self._likelihood(passage.heading or passage.document, text, column.question) - self._alone[column.id]

    def _likelihood(self, title: str, text: str, question: str) -> float:
        from engine.evidence import question_likelihood

        value = question_likelihood(self._services.engine, title, text, question)
        run = self._services.engine.last_run
        self.tokens_read += run.tokens if run else 0
        return value


def _cell(s: Session, choice: Choice | None) -> CellData:
    """The chosen sentence at its place in the document, checked once more against the stored text."""
    from engine.answering import CLEAR, FOUND_NEEDED, SURE

    if choice is None or choice.probability < FOUND_NEEDED:
        return CellData("not_found", confidence=None if choice is None else round(1 - choice.probability, 3))
    passage = choice.passage
    quote = passage.text[choice.start : choice.end]
    start, end = passage.start + choice.start, passage.start + choice.end
    verified = bool(quote) and documents.document_text(s, passage.document_id, start, end) == quote
    page = documents.page_at(s, passage.document_id, start).number
    sure = choice.probability >= SURE and choice.relevance >= CLEAR and verified
    status = "supported" if sure else "partly_supported"
    place = {"page": page, "start": start, "end": end, "quote": quote, "verified": verified}
    return CellData(status, shortened(quote), round(choice.probability, 3), **place)


def shortened(quote: str) -> str:
    """A sentence on one line, cut at a word where it is very long."""
    line = " ".join(quote.split())
    return line if len(line) <= LONGEST else line[:LONGEST].rsplit(" ", 1)[0] + " …"
