"""From ranked evidence to an answer whose every statement is tied to a verbatim quote, or to "not found"."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.drafting import AnswerStats, Draft
from engine.engine import Engine
from engine.evidence import Evidence, Weighed, rank_evidence, sentence_fits
from engine.refusal import found_probability
from engine.sentences import sentence_spans
from engine.state import ContextState
from engine.support import Asked, Sentence, SentenceIndex

NOT_FOUND = "Not found in this archive."
SUPPORT_NEEDED = 0.85
"""Share of a statement's own terms that one sentence must hold for the model's wording to be kept."""

RELEVANCE_NEEDED = 0.6
"""And that sentence must fit the question at least this well, next to the best one: what a passage merely
orders the model to say is not an answer."""

SENTENCES = 12
CLEAR = 0.35
"""A cited sentence that shares less than this with the question leaves the answer partly supported."""

FOUND_NEEDED = 0.5
SURE = 0.75

__all__ = [
    "NOT_FOUND",
    "AnswerEvent",
    "AnswerResult",
    "AnswerStats",
    "Evidence",
    "Quote",
    "Weighed",
    "answer",
    "rank_evidence",
    "worded",
]


@dataclass(frozen=True, slots=True)
class Quote:
    """Citation `number` of an answer: characters [start, end) of the evidence text, copied verbatim to
    `quote`.
    """

    number: int
    evidence_id: int
    start: int
    end: int
    quote: str
    verified: bool
    score: float


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """A finished answer; `status` is "supported", "partly_supported" or "not_found"."""

    answer: str
    status: str
    confidence: float
    quotes: tuple[Quote, ...]
    stats: AnswerStats


@dataclass(frozen=True, slots=True)
class AnswerEvent:
    """Progress: the text so far; `result` comes with the last event."""

    text_so_far: str
    done: bool
    result: AnswerResult | None = None


def answer(
    engine: Engine,
    state: ContextState | None,
    question: str,
    evidence: Sequence[Weighed],
    max_new_tokens: int = 64,
) -> Iterator[AnswerEvent]:
    """Answer `question` from `evidence` (best first) on top of the archive `state`, which is left untouched,
    if the evidence answers it at all. Close the generator to stop.
    """
    items = [item.evidence for item in evidence]
    index = SentenceIndex(items)
    shortlist = index.best_for_question(question, 1)
    if not shortlist:
        yield AnswerEvent(NOT_FOUND, True, AnswerResult(NOT_FOUND, "not_found", 1.0, (), AnswerStats()))
        return
    best = evidence[0]
    probability = found_probability(best.gain, best.odds, shortlist[0][1], index.named(question))
    if probability < FOUND_NEEDED:
        result = AnswerResult(NOT_FOUND, "not_found", round(1 - probability, 3), (), AnswerStats())
        yield AnswerEvent(NOT_FOUND, True, result)
        return
    yield from worded(engine, state, question, items, probability, max_new_tokens)


def worded(
    engine: Engine,
    state: ContextState | None,
    question: str,
    items: Sequence[Evidence],
    probability: float,
    max_new_tokens: int = 64,
) -> Iterator[AnswerEvent]:
    """The answer that evidence (best first; some of it with a sentence) gives with this `probability`.

    The model drafts: from the best passage if it was trained to answer from passages, else from all of them.
    Its wording stands only if every sentence of it is carried by a sentence of the evidence; otherwise the
    sentence that fits the question best is the answer, word for word.
    """
    index = SentenceIndex(items)
    shortlist = index.best_for_question(question, SENTENCES)
    draft = Draft(engine, state, question, items, max_new_tokens)
    for text in draft.stream():
        yield AnswerEvent(text, False)
    kept = _kept(draft, question, items, index, shortlist, probability)
    if kept is None:
        chosen = _most_likely(engine, question, items, shortlist)
        kept = _sentence_itself(draft, question, items, index, chosen, probability)
    yield AnswerEvent(kept.answer, True, kept)


def _most_likely(
    engine: Engine, question: str, items: Sequence[Evidence], shortlist: Sequence[tuple[Sentence, float]]
) -> Sentence:
    """The sentence that shares most with the question and makes it most likely."""
    if len(shortlist) == 1:
        return shortlist[0][0]
    read = [(items[s.rank].title(), items[s.rank].text[s.start : s.end]) for s, _ in shortlist]
    fits = sentence_fits(engine, read, question)
    scores = [relevance + fit for (_, relevance), fit in zip(shortlist, fits, strict=True)]
    return shortlist[scores.index(max(scores))][0]


def _kept(
    draft: Draft,
    question: str,
    items: Sequence[Evidence],
    index: SentenceIndex,
    shortlist: Sequence[tuple[Sentence, float]],
    probability: float,
) -> AnswerResult | None:
    """The draft with its citations; None unless every statement of it is carried by a sentence."""
    numbers: dict[tuple[int, int, int], Quote] = {}
    asked, shared, kept = Asked.parse(question), shortlist[0][1], []
    statements = list(dict.fromkeys(draft.text[start:end] for start, end in sentence_spans(draft.text)))
    if not statements:
        return None
    for statement in statements:
        found = index.best_for_statement(statement, question)
        if found is None or found[1] < SUPPORT_NEEDED:
            return None
        relevance = index.relevance(found[0], asked)
        if relevance < RELEVANCE_NEEDED * shared:
            return None
        shared = max(shared, relevance)
        quote = _quote(numbers, items, found[0], found[1])
        kept.append(f"{statement} [{quote.number}]")
    support = sum(q.score for q in numbers.values()) / len(numbers)
    text, quotes = " ".join(kept), tuple(numbers.values())
    status = _status(probability, shared)
    return AnswerResult(text, status, round(probability * support, 3), quotes, draft.stats)


def _sentence_itself(
    draft: Draft,
    question: str,
    items: Sequence[Evidence],
    index: SentenceIndex,
    sentence: Sentence,
    probability: float,
) -> AnswerResult:
    """A sentence of the evidence as the answer, word for word."""
    quote = _quote({}, items, sentence, probability)
    text = f"{' '.join(quote.quote.split())} [{quote.number}]"
    status = _status(probability, index.relevance(sentence, Asked.parse(question)))
    return AnswerResult(text, status, round(probability, 3), (quote,), draft.stats)


def _status(probability: float, relevance: float) -> str:
    return "supported" if probability >= SURE and relevance >= CLEAR else "partly_supported"


def _quote(
    numbers: dict[tuple[int, int, int], Quote], items: Sequence[Evidence], sentence: Sentence, score: float
) -> Quote:
    """The citation of `sentence`, numbered in order of first use."""
    key = (sentence.rank, sentence.start, sentence.end)
    if key not in numbers:
        item = items[sentence.rank]
        text = item.text[sentence.start : sentence.end]
        numbers[key] = Quote(
            len(numbers) + 1,
            item.id,
            sentence.start,
            sentence.end,
            text,
            bool(text),
            round(min(score, 1.0), 3),
        )
    return numbers[key]
