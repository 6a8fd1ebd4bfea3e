"""Jobs: durable work, claimed by one worker at a time."""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from storage.claims import change, claim, claim_job, held, release, requeue_orphans, silent
from storage.columns import utc_now
from storage.errors import NotFoundError
from storage.findings import close_findings
from storage.models import Job
from storage.progress import advance
from storage.texts import clean_text
from storage.workers import beat_worker, list_workers, remove_worker, worker_alive

__all__ = [
    "Beat",
    "beat",
    "beat_worker",
    "cancel",
    "claim",
    "claim_job",
    "confirm_cancelled",
    "enqueue",
    "fail",
    "finish",
    "get_job",
    "list_jobs",
    "list_workers",
    "release",
    "remove_worker",
    "requeue_orphans",
    "worker_alive",
]

_ACTIVE = ("queued", "running")


class Beat(Enum):
    """What a heartbeat tells the runner; true only for GO."""

    GO = "go"
    CANCELLED = "cancelled"
    LOST = "lost"

    def __bool__(self) -> bool:
        return self is Beat.GO


def enqueue(
    s: Session,
    kind: str,
    archive_id: int | None,
    payload: dict[str, Any],
    priority: int = 0,
    *,
    once: bool = False,
) -> Job:
    """Add a job. With `once`, a queued job of the same kind, archive and payload is given, not a second."""
    if once:
        query = select(Job).where(Job.kind == kind, Job.archive_id == archive_id, Job.status == "queued")
        for job in s.scalars(query.order_by(Job.id)):
            if job.payload == payload:
                return job
    job = Job(kind=kind, archive_id=archive_id, payload=payload, priority=priority)
    s.add(job)
    s.flush()
    return job


def get_job(s: Session, job_id: int) -> Job:
    """A job by id, as it is now."""
    job = s.get(Job, job_id, populate_existing=True)
    if job is None:
        raise NotFoundError(
            "unknown_job", f"There is no job {job_id}.", "It may have been removed with its archive."
        )
    return job


def list_jobs(s: Session, archive_id: int | None = None, active: bool = False, limit: int = 200) -> list[Job]:
    """Jobs, newest first; `active` keeps those queued or running."""
    query = select(Job).order_by(Job.id.desc()).limit(limit)
    if archive_id is not None:
        query = query.where(Job.archive_id == archive_id)
    if active:
        query = query.where(Job.status.in_(_ACTIVE))
    return list(s.scalars(query.execution_options(populate_existing=True)))


def beat(
    s: Session,
    job_id: int,
    *,
    done: float | None = None,
    total: float | None = None,
    unit: str | None = None,
    message: str | None = None,
    rate: float | None = None,
    eta_s: float | None = None,
    worker: str | None = None,
) -> Beat:
    """Report progress and life. Falsy when the runner must stop: Beat.CANCELLED, or Beat.LOST when the job is
    over or (with `worker` given, as runners should) another worker has taken it. Rate and ETA are worked out
    from `done` when not given.
    """
    job = s.get(Job, job_id, populate_existing=True)
    if job is None:
        return Beat.LOST
    given = {"total": total, "unit": unit, "message": message}
    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    now = utc_now()
    values |= advance(job, now, done, total, rate, eta_s)
    if not change(s, held(job_id, worker), heartbeat_at=now, **values):
        return Beat.LOST
    return Beat.CANCELLED if get_job(s, job_id).cancel_requested else Beat.GO


def finish(
    s: Session, job_id: int, result: dict[str, Any] | None = None, *, worker: str | None = None
) -> bool:
    """The job is done; False when it was no longer this worker's to finish."""
    over = {"status": "done", "result": result or {}, "finished_at": utc_now()}
    return change(s, held(job_id, worker), **over, eta_s=0.0) > 0


def fail(s: Session, job_id: int, error: str, hint: str = "", *, worker: str | None = None) -> bool:
    """The job failed, and why; False when it was no longer this worker's to fail."""
    reason = {"error": clean_text(error), "hint": clean_text(hint)}
    ended = change(s, held(job_id, worker), status="failed", finished_at=utc_now(), eta_s=None, **reason) > 0
    if ended:
        close_findings(s, job_id, "failed", reason["error"])
    return ended


def confirm_cancelled(s: Session, job_id: int, *, worker: str | None = None) -> bool:
    """The runner has stopped because it was asked to."""
    ended = change(s, held(job_id, worker), status="cancelled", finished_at=utc_now(), eta_s=None) > 0
    if ended:
        close_findings(s, job_id, "cancelled")
    return ended


def cancel(s: Session, job_id: int) -> Job:
    """Stop a job: at once if nobody runs it, else at its runner's next heartbeat; what is over stays."""
    over = {"status": "cancelled", "cancel_requested": True, "finished_at": utc_now(), "eta_s": None}
    if change(s, and_(Job.id == job_id, or_(Job.status == "queued", silent())), **over):
        close_findings(s, job_id, "cancelled")
    else:
        change(s, held(job_id, None), cancel_requested=True)
    return get_job(s, job_id)
