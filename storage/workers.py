"""Which worker processes are there: each keeps a heartbeat in a setting of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from storage.columns import utc_now
from storage.records import WorkerRecord
from storage.settings import delete_setting, list_settings, set_setting

ALIVE_S = 30.0
_PREFIX = "worker:"


def beat_worker(s: Session, worker: str, **info: Any) -> None:
    """Say that this worker is there; `info` (process id, device, model ...) is kept for display."""
    set_setting(s, _PREFIX + worker, {"heartbeat_at": utc_now().isoformat(), "info": info})


def remove_worker(s: Session, worker: str) -> None:
    """Say that this worker stopped."""
    delete_setting(s, _PREFIX + worker)


def list_workers(s: Session) -> list[WorkerRecord]:
    """Every worker that has not said good-bye, with the age of its last heartbeat."""
    now = utc_now()
    records = []
    for key, value in list_settings(s, _PREFIX).items():
        age_s = max(0.0, (now - datetime.fromisoformat(value["heartbeat_at"])).total_seconds())
        records.append(WorkerRecord(key.removeprefix(_PREFIX), age_s < ALIVE_S, age_s, value.get("info", {})))
    return records


def worker_alive(s: Session) -> bool:
    """Whether any worker has been heard from in the last 30 seconds."""
    return any(worker.alive for worker in list_workers(s))
