"""Progress of a job: rate and time left from what it reports."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from storage.models import Job

_MEMORY_S = 20.0  # older speed counts e times less


def advance(
    job: Job, now: datetime, done: float | None, total: float | None, rate: float | None, eta_s: float | None
) -> dict[str, Any]:
    """New values for a job's done, rate and eta_s; a given rate or ETA wins over the worked-out one."""
    if done is None:
        return {}
    speed = rate if rate is not None else _smoothed(job, now, done)
    goal = job.total if total is None else total
    if eta_s is None and speed and goal > 0:
        eta_s = max(goal - done, 0.0) / speed
    return {"done": done, "rate": speed, "eta_s": eta_s}


def _smoothed(job: Job, now: datetime, done: float) -> float | None:
    """Exponentially smoothed units a second since the job was claimed; None before anything moved."""
    since = job.heartbeat_at or job.started_at
    elapsed_s = (now - since).total_seconds() if since else 0.0
    if elapsed_s <= 0 or done < job.done:  # a resumed job starts over from its checkpoint
        return job.rate
    current = (done - job.done) / elapsed_s
    if job.rate is None:
        return current or None
    weight = math.exp(-elapsed_s / _MEMORY_S)
    return weight * job.rate + (1 - weight) * current
