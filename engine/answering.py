"""From ranked evidence to an answer whose every statement is tied to a verbatim quote, or to "not found"."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.engine import Engine
from engine.evidence import Evidence, question_likelihood, rank_evidence, tokenizer_of
from engine.prompting import build_prompt
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
PER_NAT = 0.4
"""Weight of a sentence's likelihood of the question beside the words they share: of 36 SQuAD questions 0.97
pick the right sentence (by words alone 0.86), of 24 planted facts asked in other words 0.46 (0.00)."""

CLEAR = 0.35
"""A cited sentence that shares less than this with the question leaves the answer partly supported."""

FOUND_NEEDED = 0.5
SURE = 0.75
PROMPT_TOKENS = 900

__all__ = [
    "NOT_FOUND",
    "AnswerEvent",
    "AnswerResult",
    "AnswerStats",
    "Evidence",
    "Quote",
    "answer",
    "rank_evidence",
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
class AnswerStats:
    """What answering cost: prompt tokens read and tokens written, each with seconds, and time to the first
    token.
    """

    prompt_tokens: int = 0
    read_s: float = 0.0
    ttft_s: float | None = None
    new_tokens: int = 0
    write_s: float = 0.0
    spikes_per_channel: float | None = None
    silent_share: float | None = None

    @property
    def read_tokens_per_s(self) -> float | None:
        """Speed of reading the prompt."""
        return self.prompt_tokens / self.read_s if self.read_s else None

    @property
    def write_tokens_per_s(self) -> float | None:
        """Speed of writing; None below two tokens."""
        return (self.new_tokens - 1) / self.write_s if self.new_tokens > 1 and self.write_s else None


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
    evidence: Sequence[tuple[Evidence, float]],
    max_new_tokens: int = 64,
) -> Iterator[AnswerEvent]:
    """Answer `question` from `evidence` (ranked, with scores) on top of the archive `state`, which is left
    untouched.

    The model drafts. Its wording stands only if every sentence of it is carried by a sentence of the
    evidence; otherwise the sentence that fits the question best is the answer, word for word. Close the
    generator to stop.
    """
    items = [item for item, _ in evidence]
    index = SentenceIndex(items)
    shortlist = index.best_for_question(question, SENTENCES)
    if not shortlist:
        yield AnswerEvent(NOT_FOUND, True, AnswerResult(NOT_FOUND, "not_found", 1.0, (), AnswerStats()))
        return
    probability = found_probability(evidence[0][1], shortlist[0][1], index.named(question))
    if probability < FOUND_NEEDED:
        result = AnswerResult(NOT_FOUND, "not_found", round(1 - probability, 3), (), AnswerStats())
        yield AnswerEvent(NOT_FOUND, True, result)
        return
    best = _most_likely(engine, question, items, shortlist)
    draft = Draft(engine, state, question, items, max_new_tokens)
    for text in draft.stream():
        yield AnswerEvent(text, False)
    result = _tie_to_evidence(draft.text, question, items, index, best, probability, draft.stats)
    yield AnswerEvent(result.answer, True, result)


def _most_likely(
    engine: Engine, question: str, items: Sequence[Evidence], shortlist: Sequence[tuple[Sentence, float]]
) -> Sentence:
    """The sentence that shares most with the question and makes it most likely."""

    def score(sentence: Sentence, relevance: float) -> float:
        item = items[sentence.rank]
        text = item.text[sentence.start : sentence.end]
        return relevance + PER_NAT * question_likelihood(engine, item.title(), text, question)

    return max(shortlist, key=lambda pair: score(*pair))[0]


class Draft:
    """The model's own words, token by token."""

    def __init__(
        self, engine: Engine, state: ContextState | None, question: str, items: Sequence[Evidence], limit: int
    ) -> None:
        self.text = ""
        self.stats = AnswerStats()
        self._engine = engine
        self._state = engine.new_state() if state is None else state.clone()
        self._prompt = build_prompt(tokenizer_of(engine), question, items, PROMPT_TOKENS)
        self._limit = limit

    def stream(self) -> Iterator[str]:
        """Yield the growing text; `text` and `stats` are complete afterwards."""
        tokenizer = tokenizer_of(self._engine)
        started = time.perf_counter()
        ids: list[int] = []
        first = started
        for token in self._engine.generate(self._prompt, self._state, self._limit):
            if not ids:
                first = time.perf_counter()
            ids.append(token)
            text = _clean(tokenizer.decode(ids))
            spans = sentence_spans(text)
            if len(spans) > 1:
                # One sentence was asked for; an untuned model then says it again, or strays.
                self.text = text[: spans[0][1]]
                break
            if text != self.text and not text.endswith("\ufffd"):
                self.text = text
                yield text
        if len(ids) >= self._limit and not self.text.endswith((".", "!", "?")):
            self.text = ""  # cut off in mid-sentence: nothing to show
        run = self._engine.last_run
        self.stats = AnswerStats(
            prompt_tokens=len(self._prompt),
            read_s=first - started,
            ttft_s=first - started if ids else None,
            new_tokens=len(ids),
            write_s=time.perf_counter() - first,
            spikes_per_channel=run.spikes_per_channel if run else None,
            silent_share=run.silent_share if run else None,
        )


def _clean(text: str) -> str:
    """The draft without citation marks of its own making: numbers are given by us."""
    return re.sub(r"\s*\[\d+\]", "", text).strip()


def _tie_to_evidence(
    draft: str,
    question: str,
    items: Sequence[Evidence],
    index: SentenceIndex,
    fallback: Sentence,
    probability: float,
    stats: AnswerStats,
) -> AnswerResult:
    numbers: dict[tuple[int, int, int], Quote] = {}
    kept: list[str] = []
    asked = Asked.parse(question)
    shared = index.relevance(fallback, asked)
    statements = list(dict.fromkeys(draft[start:end] for start, end in sentence_spans(draft)))
    for statement in statements:
        found = index.best_for_statement(statement, question)
        if found is None or found[1] < SUPPORT_NEEDED:
            break
        relevance = index.relevance(found[0], asked)
        if relevance < RELEVANCE_NEEDED * shared:
            break
        shared = max(shared, relevance)
        quote = _quote(numbers, items, found[0], found[1])
        kept.append(f"{statement} [{quote.number}]")
    status = "supported" if probability >= SURE and shared >= CLEAR else "partly_supported"
    if kept and len(kept) == len(statements):
        support = sum(q.score for q in numbers.values()) / len(numbers)
        quotes = tuple(numbers.values())
        return AnswerResult(" ".join(kept), status, round(probability * support, 3), quotes, stats)
    quote = _quote({}, items, fallback, probability)
    text = f"{' '.join(quote.quote.split())} [{quote.number}]"
    return AnswerResult(text, status, round(probability, 3), (quote,), stats)


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
