"""Passages offered as evidence, and their order by how likely the model finds the question after reading
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.engine import Engine
from engine.errors import ModelError
from engine.tokenizer import Tokenizer

PASSAGE_TOKENS = 320
"""A passage longer than this is cut for ranking only."""


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


def tokenizer_of(engine: Engine) -> Tokenizer:
    """The engine's tokenizer; ModelError if the checkpoint came without."""
    if engine.tokenizer is None:
        raise ModelError("this model has no tokenizer, so it cannot answer questions")
    return engine.tokenizer


def rank_evidence(
    engine: Engine, question: str, candidates: Sequence[Evidence], top: int = 4
) -> list[tuple[Evidence, float]]:
    """The `top` candidates by how much each passage raises the mean log likelihood of the question (nats a
    token).

    Query likelihood as in Sachan et al. 2022 (arXiv 2204.07496), less the question's likelihood without a
    passage, so scores of different questions compare. Best first.
    """
    if not candidates:
        return []
    alone = question_likelihood(engine, "", "", question)
    scored = [(c, question_likelihood(engine, c.title(), c.text, question) - alone) for c in candidates]
    return sorted(scored, key=lambda pair: -pair[1])[:top]


def question_likelihood(engine: Engine, title: str, text: str, question: str) -> float:
    """Mean log likelihood (nats a token) of `question` right after a passage."""
    tokenizer = tokenizer_of(engine)
    passage = tokenizer.encode(f"{title}\n{text}")[:PASSAGE_TOKENS] if text else []
    asked = tokenizer.encode(f" {question}")[:PASSAGE_TOKENS]
    before = [tokenizer.separator_id, *passage, *tokenizer.encode("\n\nQuestion:")]
    hidden = engine.hidden([*before, *asked])
    logits = engine.next_logits(hidden[len(before) - 1 : -1])
    chosen = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(asked)[:, None])
    return float(chosen.mean())
