"""Which job a worker may take, and taking it so that nobody else does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from storage.columns import utc_now
from storage.findings import close_findings
from storage.models import Job
from storage.workers import ALIVE_S

LOST_AFTER_S = ALIVE_S  # a running job without a heartbeat for this long is anybody's
MAX_LOSSES = 10  # a job whose workers keep dying is failed, not tried for ever
# One at a time an archive: two readers would write one state, two fillers answer the same cells.
_EXCLUSIVE = ("ingest", "read", "matrix")


def claim(
    s: Session, worker: str, kinds: Sequence[str] | None = None, *, without: Sequence[str] = ()
) -> Job | None:
    """Take the most urgent job nobody holds, atomically; a job whose worker fell silent counts as such.
    `kinds` names those wanted, `without` those not wanted.
    """
    query = select(Job.id).where(_claimable()).order_by(Job.priority.desc(), Job.id).limit(8)
    if kinds is not None:
        query = query.where(Job.kind.in_(kinds))
    if without:
        query = query.where(Job.kind.not_in(without))
    for job_id in s.scalars(query).all():
        if claim_job(s, job_id, worker):
            return s.get(Job, job_id, populate_existing=True)
    return None


def claim_job(s: Session, job_id: int, worker: str) -> bool:
    """Take this very job; False when another has it, it is over, or its archive is busy with one like it."""
    _close_hopeless(s, job_id)
    now = utc_now()
    taken = {
        "status": "running",
        "worker": worker,
        "heartbeat_at": now,
        "started_at": now,
        "attempts": Job.attempts + 1,
    }
    return (
        change(s, and_(Job.id == job_id, _claimable()), **taken, rate=None, eta_s=None, error="", hint="") > 0
    )


def release(s: Session, job_id: int, *, worker: str | None = None) -> bool:
    """Hand a running job back to the queue, as a worker told to stop does; not counted as an attempt."""
    return change(s, held(job_id, worker), **_QUEUED, attempts=Job.attempts - 1) > 0


def requeue_orphans(s: Session, worker: str) -> int:
    """Queue again what `worker` left running: for a worker known dead, or for one's own former life."""
    return change(s, and_(Job.status == "running", Job.worker == worker), **_QUEUED)


def silent() -> ColumnElement[bool]:
    """Running, but not heard from for too long."""
    return and_(Job.status == "running", or_(Job.heartbeat_at.is_(None), Job.heartbeat_at < _lost()))


def held(job_id: int, worker: str | None) -> ColumnElement[bool]:
    """Running, and by this worker if one is named."""
    running = and_(Job.id == job_id, Job.status == "running")
    return running if worker is None else and_(running, Job.worker == worker)


def change(s: Session, where: ColumnElement[bool], **values: Any) -> int:
    """Update jobs in one statement that re-checks its condition under the lock; returns how many it met."""
    statement = update(Job).where(where).values(**values).execution_options(synchronize_session=False)
    return int(s.execute(statement).rowcount)  # type: ignore[attr-defined]


_QUEUED: dict[str, Any] = {
    "status": "queued",
    "worker": None,
    "heartbeat_at": None,
    "rate": None,
    "eta_s": None,
}


def _lost() -> Any:
    return utc_now() - timedelta(seconds=LOST_AFTER_S)


def _claimable() -> ColumnElement[bool]:
    other = aliased(Job)
    busy = exists().where(
        other.archive_id == Job.archive_id,
        other.kind == Job.kind,
        other.id != Job.id,
        other.status == "running",
        other.heartbeat_at >= _lost(),
    )
    return and_(or_(Job.status == "queued", silent()), or_(Job.kind.not_in(_EXCLUSIVE), ~busy))


def _close_hopeless(s: Session, job_id: int) -> None:
    """A silent job that was to be cancelled is cancelled; one that lost worker after worker has failed."""
    waiting = and_(Job.id == job_id, or_(Job.status == "queued", silent()))
    over = {"finished_at": utc_now(), "eta_s": None}
    if change(s, and_(waiting, Job.cancel_requested), status="cancelled", **over):
        close_findings(s, job_id, "cancelled")
    error = f"The worker stopped {MAX_LOSSES} times in the middle of this job."
    hint = (
        "See the worker's log in the home folder; free memory or smaller files may help. Then start it again."
    )
    if change(s, and_(waiting, Job.attempts >= MAX_LOSSES), status="failed", error=error, hint=hint, **over):
        close_findings(s, job_id, "failed", error)
