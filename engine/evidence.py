"""Passages offered as evidence, weighed by one reading each: how likely the model finds the question after a
passage, and, where it was trained to say so, whether the passage answers it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from engine.engine import Engine
from engine.errors import ModelError
from engine.grounded import ANSWER, NO_ANSWER, PASSAGE_TOKENS, numbered, question_text
from engine.sifting import Prompt, sift
from engine.stepping import gathered
from engine.tokenizer import Tokenizer

PER_LOGIT = 1.0
"""Nats of likelihood that one unit of the log odds is worth in the order of passages: of 96 development
questions with six close passages each, 0.82 find the right one first (by likelihood alone 0.72)."""

PER_PROMISE = 0.5
"""The same for what the passage promised halfway: of 360 development questions, put to an archive of four
million tokens, 0.74 find the right one first of twelve (by likelihood and odds 0.72)."""

PER_NAT = 0.4
"""What a nat of a sentence's likelihood of the question weighs beside the words they share: of 36 SQuAD
questions 0.97 pick the right sentence (by words alone 0.86), of 24 planted facts in other words 0.46 (0)."""

PER_ODDS = 0.15
"""The same for the log odds that the sentence answers: of 40 planted facts in other words 0.93 pick the right
sentence of their passage (without 0.85), of 30 questions of NQ 0.70 (0.57), COVID-QA 0.89 (0.86), of 15 of
SQuAD 0.87 (0.80)."""

ROWS = 256
"""Places whose logits over the whole vocabulary are held at once."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One passage: `id` is the caller's, `document` and `heading` say where it stands, `text` is stored
    text.
    """

    id: int
    document: str
    heading: str
    text: str

    def title(self) -> str:
        """Document and heading in one line."""
        return f"{self.document} > {self.heading}" if self.heading else self.document


@dataclass(frozen=True, slots=True)
class Weighed:
    """A passage after one reading with the question.

    `gain`: what it adds to the question's mean log likelihood (nats a token); `odds`: log odds that it
    answers the question, `promise`: what it promised halfway, both 0 from models that were not trained to
    tell; `tokens`: what the reading took.
    """

    evidence: Evidence
    gain: float
    odds: float = 0.0
    tokens: int = 0
    promise: float = 0.0

    @property
    def score(self) -> float:
        """What passages are ordered by."""
        return self.gain + PER_LOGIT * self.odds + PER_PROMISE * self.promise


class _Reading(NamedTuple):
    """Mean log likelihood of the question's tokens behind a prompt's passages; see `Weighed` for the rest."""

    likelihood: float
    odds: float
    promise: float


def tokenizer_of(engine: Engine) -> Tokenizer:
    """The engine's tokenizer; ModelError if the checkpoint came without."""
    if engine.tokenizer is None:
        raise ModelError("this model has no tokenizer, so it cannot answer questions")
    return engine.tokenizer


def rank_evidence(
    engine: Engine,
    question: str,
    candidates: Sequence[Evidence],
    top: int = 4,
    alone: float | None = None,
) -> list[Weighed]:
    """The `top` candidates, best first; `alone` is what `question_alone` gave for the question, if known.

    Query likelihood as in Sachan et al. 2022 (arXiv 2204.07496), less the question's likelihood without a
    passage, so scores of different questions compare; joined with the odds of an answer.
    """
    if not candidates:
        return []
    offered = [[(item.title(), item.text)] for item in candidates]
    prompts = prompts_of(engine, offered if alone is not None else [*offered, []], question)
    readings = _read(engine, prompts, top)
    if alone is None:
        alone = readings.pop(len(candidates)).likelihood
    weighed = [
        Weighed(candidates[i], read.likelihood - alone, read.odds, len(prompts[i]), read.promise)
        for i, read in readings.items()
    ]
    return sorted(weighed, key=lambda w: -w.score)[:top]


def question_alone(engine: Engine, question: str) -> float:
    """Mean log likelihood (nats a token) of `question` without a passage."""
    return _read(engine, prompts_of(engine, [[]], question), 0)[0].likelihood


def sentence_fits(engine: Engine, sentences: Sequence[tuple[str, str]], question: str) -> list[float]:
    """How well each sentence (title, text) fits the question beyond the words they share, in shares of the
    question.
    """
    prompts = prompts_of(engine, [[sentence] for sentence in sentences], question)
    readings = _read(engine, prompts, len(prompts))
    return [PER_NAT * read.likelihood + PER_ODDS * read.odds for read in readings.values()]


def prompts_of(engine: Engine, offered: Sequence[Sequence[tuple[str, str]]], question: str) -> list[Prompt]:
    """A prompt of the question behind each of `offered`, some passages (title, text)."""
    tokenizer = tokenizer_of(engine)
    asked = question_text(tokenizer, question)[:PASSAGE_TOKENS]
    after = tokenizer.encode(ANSWER) if engine.config.grounded else []
    return [
        Prompt([tokenizer.separator_id, *numbered(tokenizer, passages)], asked, after, not passages)
        for passages in offered
    ]


def _read(engine: Engine, prompts: Sequence[Prompt], top: int) -> dict[int, _Reading]:
    """What was found of each prompt that `sift` reads to the end, by its index."""
    sifted = sift(engine, prompts, top)
    rows = [prompts[i].question_rows(found.stream) for i, found in sifted.items()]
    logits = (
        part
        for group in gathered(rows, ROWS)
        for part in engine.next_logits(torch.cat(group)).split([len(some) for some in group])
    )
    readings = {}
    for (i, found), part in zip(sifted.items(), logits, strict=True):
        asked = torch.tensor(prompts[i].asked)[:, None]
        chosen = torch.log_softmax(part[:-1], dim=-1).gather(1, asked)
        odds = answer_odds(engine, part[-1]) if engine.config.grounded else 0.0
        readings[i] = _Reading(float(chosen.mean()), odds, found.promise)
    return readings


def answer_odds(engine: Engine, logits: Tensor) -> float:
    """Log odds that an answer follows, from the logits [V] where it or "not found" must begin."""
    refusal = tokenizer_of(engine).encode(NO_ANSWER)[0]
    log_p = torch.log_softmax(logits.double(), dim=-1)[refusal]
    return float(torch.log1p(-log_p.exp().clamp(max=1 - 1e-12)) - log_p)
