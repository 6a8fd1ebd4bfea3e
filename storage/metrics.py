"""Run metrics: what runs cost, kept for the gauges and the history."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import RunMetric


def add_metric(
    s: Session,
    kind: str,
    values: dict[str, Any],
    *,
    archive_id: int | None = None,
    finding_id: int | None = None,
    job_id: int | None = None,
) -> RunMetric:
    """Keep the numbers of one run."""
    metric = RunMetric(kind=kind, values=values, archive_id=archive_id, finding_id=finding_id, job_id=job_id)
    s.add(metric)
    s.flush()
    return metric


def list_metrics(
    s: Session, kind: str | None = None, archive_id: int | None = None, limit: int = 100
) -> list[RunMetric]:
    """Runs, newest first."""
    query = select(RunMetric).order_by(RunMetric.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(RunMetric.kind == kind)
    if archive_id is not None:
        query = query.where(RunMetric.archive_id == archive_id)
    return list(s.scalars(query))
