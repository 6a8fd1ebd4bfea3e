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
from app.filling import run_matrix
from app.ingesting import run_ingest
from app.installing import run_model
from app.keeping import run_backup, run_duplicates, run_restore
from app.reading import run_read
from app.services import Services
from app.task import Task
from storage import BusyError, Job, jobs

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
            result = _do(services, task, on_text)
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


def _do(services: Services, task: Task, on_text: OnText | None) -> dict[str, Any]:
    match task.job.kind:
        case "ingest":
            return run_ingest(services, task)
        case "read":
            return run_read(services, task)
        case "ask":
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
