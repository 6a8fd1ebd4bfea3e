"""The model's part in choosing sentences: how likely each is under the heading "Summary" of its document.

A sentence is weighed behind the document's title and the passages that it does not stand in, those of even or
of odd number: behind its own passage it would only be copied. On 40 abstracts that no weight was chosen on,
F1 with the authors' own conclusion rises from 0.253 to 0.290 (95 %: by 0.019 to 0.060); read on top of the
archive's saved state to 0.280, so it is not: a window of 1,024 tokens holds the end of the archive
(tests/bench/results/summary.jsonl). How much likelier a sentence is than by itself (arXiv 2102.06272) chose
worse on nine textbook sections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.salience import Candidate
from storage import PassageText

if TYPE_CHECKING:
    from engine import ContextState, Engine
    from engine.salience import Behind

HEADING = "\n\nSummary\n"
LEAD_TOKENS = 480  # of the document, taken evenly
PIECE_TOKENS = 60  # of a passage at least


class Weighing:
    """Weighs sentences of one document. `state`: what the document is read on top of; left untouched."""

    def __init__(
        self, engine: Engine, state: ContextState | None, title: str, found: Sequence[PassageText]
    ) -> None:
        self._engine, self._state, self._title, self._found = engine, state, title, found
        self._place = {item.id: place for place, item in enumerate(found)}
        self._halves: dict[int, Behind] = {}

    def __call__(self, one: Candidate) -> float:
        """Mean log likelihood (nats a token) of the sentence."""
        from engine.evidence import tokenizer_of

        sentence = " ".join(one.passage.text[one.start : one.end].split())
        behind = self._behind(1 - self._place[one.passage.id] % 2)
        return behind.likelihood(tokenizer_of(self._engine).encode(sentence))

    def _behind(self, half: int) -> Behind:
        from engine.evidence import tokenizer_of
        from engine.salience import Behind

        if half not in self._halves:
            encode = tokenizer_of(self._engine).encode
            pieces = [encode(f"{item.text.strip()}\n") for item in self._found[half::2]]
            lead = [*encode(f"{self._title}\n"), *_evenly(pieces), *encode(HEADING)]
            self._halves[half] = Behind(self._engine, self._state, lead)
        return self._halves[half]


def _evenly(pieces: Sequence[Sequence[int]]) -> list[int]:
    """At most `LEAD_TOKENS` of the pieces: the beginning of each, or of every so many."""
    each = max(PIECE_TOKENS, LEAD_TOKENS // max(1, len(pieces)))
    step = -(-len(pieces) * each // LEAD_TOKENS) or 1
    return [token for piece in pieces[::step] for token in piece[:each]][:LEAD_TOKENS]
