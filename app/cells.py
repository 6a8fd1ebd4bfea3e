"""From a question and a document to a cell: the one sentence that answers, quoted, or "not found".

Searching is done once a question for all documents: by words and by recall code, every passage competes.
What is left for each cell is choosing among the sentences of at most three passages, of which the model
reads the two or three that share the most telling words with the question.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.recalling import CODE_WEIGHT
from app.services import Services
from storage import CellData, MatrixQuestion, PassageText, documents, passages

PASSAGES = 3  # a cell's candidates
OPENING = 2  # passages of a document in which the search finds nothing
EVERY = 1_000_000_000
SAMPLE = 300  # passages that tell how common a word is in the archive
ORDINARY = (
    5  # sentences of the sample that tell how likely a question is after a sentence about something else
)
READ = 3  # sentences the model reads for a cell at most
NEAR = 0.6  # and only those that share nearly as many telling words as the best one
PER_EXTRA, PER_HEADING = 0.7, 0.5  # what a template's other words, and words of the heading, count
FEWEST_TERMS = 3  # a shorter sentence is a heading or a number
LONGEST = 400  # characters of a sentence shown as the answer; the quote stays whole

# Chosen by looking at 60 cells of tests/bench/matrix.py; its result says how many cells come out right.
INTERCEPT, PER_GAIN, PER_WORD = -2.0, 0.8, 4.5
# Words for the document itself: each of its sentences is about the agreement, the study.
ITSELF = "agreement contract document study trial paper article report text file"


def found_probability(gain: float, shared: float) -> float:
    """Probability that a sentence answers: `gain` is how much likelier it makes the question than ordinary
    sentences do (nats a token), `shared` how many telling words it shares with the question.
    """
    return 1.0 / (1.0 + math.exp(-(INTERCEPT + PER_GAIN * gain + PER_WORD * shared)))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence [start, end) of a passage, and how many telling words it shares with the question."""

    passage: PassageText
    start: int
    end: int
    shared: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The sentence chosen, and the probability that it answers."""

    candidate: Candidate
    probability: float


class Words:
    """How telling a word is: 0 if every sentence of the archive has it, 1 if none of the sample has."""

    def __init__(self, texts: Iterable[str]) -> None:
        from engine.sentences import content_terms, sentence_spans

        self._sentences, self._having = 1, Counter[str]()
        self._itself = frozenset(content_terms(ITSELF))
        listed = [text[start:end] for text in texts for start, end in sentence_spans(text)]
        usual = []
        for sentence in listed:
            said = set(content_terms(sentence))
            self._sentences += 1
            self._having.update(said)
            usual += [sentence] if len(said) >= FEWEST_TERMS else []
        self.ordinary = usual[:: max(1, len(usual) // ORDINARY)][:ORDINARY]

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


class CellReader:
    """Answers cells of one archive; holds each question's search and counts the tokens the model reads."""

    def __init__(self, services: Services, archive_id: int) -> None:
        self._services = services
        self._archive_id = archive_id
        self._found: dict[int, dict[int, list[int]]] = {}
        self._usual: dict[int, float] = {}
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
        from engine.answering import PER_NAT

        listed = self._listed(column, found)
        if not listed:
            return None
        gains = [self._gain(column, candidate) for candidate in listed]
        best = max(range(len(listed)), key=lambda at: listed[at].shared + PER_NAT * gains[at])
        return Choice(listed[best], found_probability(gains[best], listed[best].shared))

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
        listed.sort(key=lambda candidate: -candidate.shared)
        return [candidate for candidate in listed[:READ] if candidate.shared >= listed[0].shared - NEAR]

    def _gain(self, column: MatrixQuestion, candidate: Candidate) -> float:
        """How much likelier (nats a token) the sentence makes the question than ordinary sentences do."""
        passage = candidate.passage
        text = passage.text[candidate.start : candidate.end]
        likelihood = self._likelihood(passage.heading or passage.document, text, column.question)
        return likelihood - self._usual_likelihood(column)

    def _usual_likelihood(self, column: MatrixQuestion) -> float:
        if column.id not in self._usual:
            values = [self._likelihood("", text, column.question) for text in self._words.ordinary]
            self._usual[column.id] = sum(values) / max(1, len(values))
        return self._usual[column.id]

    def _likelihood(self, title: str, text: str, question: str) -> float:
        from engine.evidence import question_likelihood

        value = question_likelihood(self._services.engine, title, text, question)
        run = self._services.engine.last_run
        self.tokens_read += run.tokens if run else 0
        return value


def _cell(s: Session, choice: Choice | None) -> CellData:
    """The chosen sentence at its place in the document, checked once more against the stored text."""
    from engine.answering import FOUND_NEEDED, SURE

    if choice is None or choice.probability < FOUND_NEEDED:
        return CellData("not_found", confidence=None if choice is None else round(1 - choice.probability, 3))
    passage, candidate = choice.candidate.passage, choice.candidate
    quote = passage.text[candidate.start : candidate.end]
    start, end = passage.start + candidate.start, passage.start + candidate.end
    verified = bool(quote) and documents.document_text(s, passage.document_id, start, end) == quote
    return CellData(
        "supported" if verified and choice.probability >= SURE else "partly_supported",
        shortened(quote),
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
