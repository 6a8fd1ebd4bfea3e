"""Checkpoints: saved reading states, dense near the newest and sparse far back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from storage.models import Checkpoint


def add_checkpoint(
    s: Session,
    archive_id: int,
    fingerprint: str,
    chain: str,
    documents: int,
    tokens: int,
    file: str | Path,
    size: int,
) -> Checkpoint:
    """Record a state file that is safely on disk: its chain covers all documents touched, `documents` counts
    those read whole.
    """
    checkpoint = Checkpoint(
        archive_id=archive_id, fingerprint=fingerprint, chain=chain, documents=documents, tokens=tokens
    )
    checkpoint.file, checkpoint.bytes = str(file), size
    s.add(checkpoint)
    s.flush()
    return checkpoint


def list_checkpoints(s: Session, archive_id: int, fingerprint: str | None = None) -> list[Checkpoint]:
    """An archive's checkpoints made by this model (or by any), the fewest tokens first."""
    query = select(Checkpoint).where(Checkpoint.archive_id == archive_id)
    if fingerprint is not None:
        query = query.where(Checkpoint.fingerprint == fingerprint)
    return list(s.scalars(query.order_by(Checkpoint.tokens, Checkpoint.id)))


def thin(s: Session, archive_id: int, fingerprint: str, most_bytes: int | None = None) -> list[str]:
    """Drop checkpoints that are too dense for their distance from the newest; returns the files to delete.

    Afterwards, going back a distance d costs reading at most about d tokens again, with about two checkpoints
    kept for every doubling of d. Remove those of other chains first: the ladder takes all as one reading.
    `most_bytes`: the newest is kept, and of the older ones, from the newest back, what fits with it.
    """
    rungs = list_checkpoints(s, archive_id, fingerprint)
    kept = [rungs[index] for index in _kept([rung.tokens for rung in rungs])]
    total = accumulate(rung.bytes for rung in reversed(kept))
    keep = {
        rung.id
        for number, (rung, size) in enumerate(zip(reversed(kept), total, strict=True))
        if number == 0 or most_bytes is None or size <= most_bytes
    }
    return _remove(s, [rung for rung in rungs if rung.id not in keep])


def remove_checkpoints(s: Session, archive_id: int, ids: Sequence[int] | None = None) -> list[str]:
    """Forget an archive's checkpoints, or those of the given ids; returns the files to delete."""
    rungs = list_checkpoints(s, archive_id)
    return _remove(s, [rung for rung in rungs if ids is None or rung.id in set(ids)])


def _kept(tokens: list[int]) -> list[int]:
    """Indices to keep of ascending token counts. A rung goes when the gap it leaves is at most the distance
    from its newer neighbour to the newest; such a gap stays small for ever, since the newest only moves on.
    """
    kept: list[int] = []
    for index, count in enumerate(tokens):
        while kept and _spare(tokens, kept, count):
            kept.pop()
        kept.append(index)
    return kept


def _spare(tokens: list[int], kept: list[int], newer: int) -> bool:
    before = tokens[kept[-2]] if len(kept) > 1 else 0
    return newer - before <= tokens[-1] - newer


def _remove(s: Session, rungs: list[Checkpoint]) -> list[str]:
    if rungs:
        s.execute(delete(Checkpoint).where(Checkpoint.id.in_([rung.id for rung in rungs])))
    return [rung.file for rung in rungs]
