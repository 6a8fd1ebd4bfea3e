"""Which archives a model has not read: after a change of model they must be read again."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.chain import Plan
from storage import archives, checkpoints, passages


@dataclass(frozen=True, slots=True)
class StaleArchive:
    """An archive whose newest state and recall codes are not this model's."""

    id: int
    name: str
    documents: int
    tokens: int


def archives_to_read(s: Session, fingerprint: str, recall: bool) -> list[StaleArchive]:
    """Archives with documents that the model of this fingerprint has not read whole; `recall`: it has a
    recall head, so the passages' codes must be its own too.
    """
    stale = []
    for archive in archives.list_archives(s):
        plan = Plan.load(s, archive.id)
        if plan.entries and not _is_read(s, archive.id, plan, fingerprint, recall):
            stale.append(StaleArchive(archive.id, archive.name, len(plan.entries), plan.total))
    return stale


def _is_read(s: Session, archive_id: int, plan: Plan, fingerprint: str, recall: bool) -> bool:
    rungs = checkpoints.list_checkpoints(s, archive_id, fingerprint)
    whole = any(rung.tokens == plan.total and plan.accepts(rung) for rung in rungs)
    return whole and (not recall or passages.first_uncoded(s, archive_id, fingerprint) is None)
