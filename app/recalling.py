"""From a question to the passages that may answer it: every passage of the archive competes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from app.chain import Plan
from app.checkpoints import Ladder
from app.services import Services
from storage import PassageText, passages

if TYPE_CHECKING:
    from engine import ContextState, Engine
    from engine.evidence import Evidence, Weighed

BY_WORDS = 40
BY_CODE = 40
WITHIN = 20
BEST_DOCUMENTS = 3  # a contract names its parties on page one and the clause asked for on page nine
CANDIDATES = 12
FIRST_BY_WORDS = 5
"""So many of those that share most words are candidates whatever else is found."""
PER_PLACE = 0.03
"""Likeness lost by a place that is e times as far down, both among those found by words and among all."""
EVIDENCE = 4


@dataclass(frozen=True, slots=True)
class Context:
    """An archive as it stands for a question: its order, the state to start from, and its recall codes."""

    plan: Plan
    state: ContextState
    ids: NDArray[np.int64]
    codes: NDArray[np.uint8]


class Contexts:
    """The newest state and the codes of the archive asked last, kept in memory between questions."""

    def __init__(self) -> None:
        self._held: tuple[tuple[int, int, int], Context] | None = None
        self._lock = threading.Lock()

    def get(self, services: Services, archive_id: int) -> Context:
        """The context of an archive; loaded anew when there is a newer checkpoint or other documents."""
        with self._lock, services.database.session() as s:
            plan = Plan.load(s, archive_id)
            ladder = Ladder(services, archive_id)
            newest = next(iter(ladder.newest(s, plan)), None)
            key = (archive_id, newest.id if newest else 0, hash(plan))
        with self._lock:
            if self._held is None or self._held[0] != key:
                self._held = None
                self._held = (key, self._load(services, archive_id, plan, ladder))
            return self._held[1]

    @staticmethod
    def _load(services: Services, archive_id: int, plan: Plan, ladder: Ladder) -> Context:
        state, _ = ladder.load(plan)
        with services.database.session() as s:
            ids, codes = passages.load_codes(s, archive_id, services.engine.fingerprint)
        return Context(plan, state, ids, codes)


def find_candidates(
    services: Services,
    context: Context,
    archive_id: int,
    question: str,
    document_ids: Sequence[int] | None,
    prefer: Sequence[int] = (),
) -> list[PassageText]:
    """Passages that share most words with the question, those of nearest code and those of the documents that
    fit best, ordered by how alike they are to the question token by token and by their places there (measured
    by tests/bench/recall.py). `prefer`: documents that an earlier answer of the thread cited; their passages
    are ranked once more among themselves, and the places alone decide, for such a question leaves words out.
    """
    from engine.recall import fuse, search_codes

    engine = services.engine
    code = engine.encode_query(question) if engine.code_bits else None
    with services.database.session() as s:
        by_words = _search(s, archive_id, question, BY_WORDS, document_ids)
        best = _best_documents(s, by_words)
        rankings = [by_words, _search(s, archive_id, question, WITHIN, best)]
        if prefer:
            rankings.append(_search(s, archive_id, question, WITHIN, prefer))
        if code is not None:
            ids, codes = context.ids, context.codes
            if document_ids is not None:
                ids, codes = passages.load_codes(s, archive_id, engine.fingerprint, document_ids)
            rows, _ = search_codes(codes, code, BY_CODE)
            rankings.append(ids[rows].tolist())
        ranked = [found for found, _ in fuse(rankings)]
        found = passages.get_passages(s, ranked[:CANDIDATES] if prefer else ranked)
    return found if prefer else _most_alike(engine, question, found, by_words)


def _most_alike(
    engine: Engine, question: str, found: Sequence[PassageText], by_words: Sequence[int]
) -> list[PassageText]:
    """The candidates among `found` (best place first), by likeness and their places."""
    from engine.likeness import likeness

    alike = likeness(engine, question, [f"{item.title()}\n{item.text}" for item in as_evidence(found)])
    among = {item: place for place, item in enumerate(by_words)}
    scores = {
        item.id: like - PER_PLACE * (log1p(place) + log1p(among.get(item.id, len(found))))
        for place, (item, like) in enumerate(zip(found, alike, strict=True))
    }
    kept = set(by_words[:FIRST_BY_WORDS])
    chosen = sorted(found, key=lambda item: (item.id not in kept, -scores[item.id]))[:CANDIDATES]
    return sorted(chosen, key=lambda item: -scores[item.id])


def _search(
    s: Session, archive_id: int, question: str, limit: int, document_ids: Sequence[int] | None
) -> list[int]:
    return [found for found, _ in passages.search_text(s, archive_id, question, limit, document_ids)]


def _best_documents(s: Session, ranked: Sequence[int]) -> list[int]:
    """Documents by the sum of their passages' reciprocal ranks, best first."""
    scores: dict[int, float] = {}
    for rank, item in enumerate(passages.get_passages(s, ranked), start=1):
        scores[item.document_id] = scores.get(item.document_id, 0.0) + 1 / rank
    return sorted(scores, key=lambda document: -scores[document])[:BEST_DOCUMENTS]


def as_evidence(found: Sequence[PassageText]) -> list[Evidence]:
    """Passages in the form the engine ranks."""
    from engine.evidence import Evidence

    return [Evidence(item.id, item.document, item.heading, item.text) for item in found]


def weigh(engine: Engine, question: str, found: Sequence[PassageText], top: int = EVIDENCE) -> list[Weighed]:
    """The `top` of the passages that `find_candidates` found, best first, each read with the question."""
    from engine.evidence import rank_evidence

    return rank_evidence(engine, question, as_evidence(found), top)
