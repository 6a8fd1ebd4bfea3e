"""How likely sentences are behind what was read: behind a state, a lead-in, or nothing at all."""

from collections.abc import Sequence

import torch

from engine.engine import Engine
from engine.evidence import tokenizer_of
from engine.state import ContextState

SENTENCE_TOKENS = 120
"""More of a sentence than this is not weighed."""


class Behind:
    """Likelihoods of texts behind a state and a lead-in of tokens. The state given is left untouched: a copy
    reads the lead-in once, and a copy of that reads each text.
    """

    def __init__(self, engine: Engine, state: ContextState | None = None, lead: Sequence[int] = ()) -> None:
        before = [tokenizer_of(engine).separator_id, *lead]
        self._engine = engine
        self._state = engine.new_state() if state is None else state.clone()
        self._last = before[-1]
        if lead:
            engine.hidden(before[:-1], self._state)

    def likelihood(self, ids: Sequence[int]) -> float:
        """Mean log likelihood (nats a token) of the first tokens of a text, at least one."""
        ids = list(ids[:SENTENCE_TOKENS])
        hidden = self._engine.hidden([self._last, *ids[:-1]], self._state.clone())
        expected = torch.log_softmax(self._engine.next_logits(hidden), dim=-1)
        return float(expected.gather(1, torch.tensor(ids)[:, None]).mean())
