"""Runs one claimed job to its end, whatever that is, and writes the end down."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
from sqlalchemy.orm import Session

from app.answering import OnText, run_ask
from app.errors import INTERNAL, JobCancelledError, JobStoppedError, describe
from app.fallback import device_failure
from app.filling import run_matrix
from app.ingesting import run_ingest
from app.installing import run_model
from app.keeping import run_backup, run_duplicates
from app.live import Live
from app.reading import run_read
from app.restoring import run_restore
from app.services import Services
from app.spiking import run_spikes
from app.task import Task
from storage import BusyError, Job, findings, jobs

log = logging.getLogger(__name__)
SETTLE_TRIES = 5
SETTLE_PAUSE_S = 1.0


def worker_id() -> str:
    """This process, told from any that had or will have its number."""
    return f"{socket.gethostname()}:{os.getpid()}:{int(psutil.Process().create_time())}"


def is_dead(worker: str) -> bool:
    """Whether that worker ran on this machine and its process is gone."""
    host, _, rest = worker.rpartition(":")[0].rpartition(":")
    created = worker.rpartition(":")[2]
    if host != socket.gethostname() or not (rest.isdecimal() and created.isdecimal()):
        return False
    try:
        return abs(psutil.Process(int(rest)).create_time() - int(created)) > 2
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def run_job(
    services: Services,
    job: Job,
    worker: str,
    *,
    stop: threading.Event | None = None,
    serve: Callable[[], None] | None = None,
    on_text: OnText | None = None,
) -> BaseException | None:
    """Do a job that `worker` has claimed. Errors end the job, not the caller: the error is returned."""
    with Task(services, job, worker, stop, serve) as task:
        try:
            with Live(services, task):
                result = _do_somewhere(services, task, on_text)
        except JobCancelledError as error:
            _settle(services, lambda s: jobs.confirm_cancelled(s, job.id, worker=worker))
            return error
        except JobStoppedError as error:
            if not task.lost:
                _settle(services, lambda s: jobs.release(s, job.id, worker=worker))
            return error
        except Exception as error:
            problem = describe(error)
            unknown = problem.code == INTERNAL
            log.error("job %d (%s) failed: %s", job.id, job.kind, problem.message, exc_info=unknown)
            _settle(services, lambda s: jobs.fail(s, job.id, problem.message, problem.hint, worker=worker))
            return error
        _settle(services, lambda s: jobs.finish(s, job.id, result, worker=worker))
    return None


def _do_somewhere(services: Services, task: Task, on_text: OnText | None) -> dict[str, Any]:
    """Do the job; if the accelerator fails in it, once more with the processor."""
    try:
        return _do(services, task, on_text)
    except Exception as error:
        in_use = services.engine_in_use
        if in_use is None and services.device_is_fixed:  # asked for by name just now: its own error says it
            raise
        device = in_use.device if in_use is not None else services.wanted_device
        why = device_failure(error, device)
        if why is None:
            raise
        log.warning("job %d (%s): %s; it goes on with the processor", task.job.id, task.job.kind, why)
        services.fall_back(why)
    finding_id = task.job.payload.get("finding_id") if task.job.kind in ("ask", "summary") else None
    if finding_id:  # such a job closes its finding when it fails
        with services.database.session() as s:
            findings.update_finding(s, finding_id, status="running", error="")
    result = _do(services, task, on_text)
    if finding_id:
        with services.database.session() as s:
            run = {**findings.get_finding(s, finding_id).run, "device_note": services.device_note}
            findings.update_finding(s, finding_id, run=run)
        result["run"]["device_note"] = services.device_note
    return result


def _do(services: Services, task: Task, on_text: OnText | None) -> dict[str, Any]:
    match task.job.kind:
        case "ingest":
            return run_ingest(services, task)
        case "read":
            return run_read(services, task)
        case "ask" | "summary":
            return run_ask(services, task, on_text)
        case "model":
            return run_model(services, task)
        case "backup":
            return run_backup(services, task)
        case "restore":
            return run_restore(services, task)
        case "duplicates":
            return run_duplicates(services, task)
        case "matrix":
            return run_matrix(services, task)
        case "spikes":
            return run_spikes(services, task)
    raise ValueError(f"unknown kind of job {task.job.kind!r}")


def _settle(services: Services, write: Callable[[Session], Any]) -> None:
    """Write a job's end, patiently; failing that, the job is taken up again once its heartbeat is old."""
    for _ in range(SETTLE_TRIES):
        try:
            with services.database.session() as s:
                write(s)
            return
        except BusyError as error:
            log.warning("the end of a job could not be written yet: %s", error.message)
            time.sleep(SETTLE_PAUSE_S)
