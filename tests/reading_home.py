"""What the tests of reading share: the context as the contract says it, saved states, a way to step in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from app_home import prose, tiny_engine

from app import reading
from app.chain import Plan
from app.checkpoints import Ladder
from app.services import Services
from app.worker import Worker
from engine import ContextState
from storage import Archive, Job, documents, jobs

FILES = {f"d{number}.txt": prose(number, 8) for number in range(4)}


def newest_state(services: Services, archive: Archive) -> ContextState:
    """The newest saved state that fits the archive."""
    with services.database.session() as s:
        plan = Plan.load(s, archive.id)
    return Ladder(services, archive.id).load(plan)[0]


def whole_context(services: Services, archive: Archive) -> list[int]:
    """The ids that the contract says make the context."""
    ids: list[int] = []
    with services.database.session() as s:
        for row in documents.reading_order(s, archive.id):
            text = documents.document_text(s, row.id)
            ids += [services.tokenizer.separator_id, *services.tokenizer.encode(text)]
    return ids


def read_at_once(ids: list[int]) -> ContextState:
    """The state after reading these ids in one go."""
    engine = tiny_engine()
    state = engine.new_state()
    for _ in engine.read(ids, state):
        pass
    return state


def same(one: ContextState, other: ContextState) -> bool:
    """Whether two states are equal, bit by bit."""
    pairs = zip(one.tensors().items(), other.tensors().items(), strict=True)
    return one.tokens_read == other.tokens_read and all(
        a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs
    )


def last_job(services: Services, kind: str) -> Job:
    """The newest job of a kind."""
    with services.database.session() as s:
        return next(job for job in jobs.list_jobs(s) if job.kind == kind)


def files_of(services: Services, archive: Archive) -> set[str]:
    """Names of the archive's state files."""
    return {path.name for path in (services.home.states / str(archive.id)).glob("*")}


def read_once(services: Services, monkeypatch: pytest.MonkeyPatch, on_chunk: Callable[[int], None]) -> None:
    """Run the queue with `on_chunk(tokens)` called after each chunk."""
    take = reading.Reader._take

    def taken(self: Any, step: Any, feed: Any) -> None:
        take(self, step, feed)
        on_chunk(step.tokens_read)

    with monkeypatch.context() as patched:
        patched.setattr(reading.Reader, "_take", taken)
        Worker(services).run_until_idle()
