"""How a command gets a job done: by the running worker, whose model is warm, or in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from app.errors import AppError, JobCancelledError, JobStoppedError
from app.running import run_job, worker_id
from app.services import Services
from storage import Job, findings, jobs

POLL_S = 0.15
OnText = Callable[[str], None]
OnJob = Callable[[Job], None]


class Follower:
    """Puts jobs into the queue and sees them through.

    With `alone` every job is claimed in the transaction that makes it, so that no worker, which may have
    another model, takes it.
    """

    def __init__(
        self, services: Services, *, alone: bool = False, stop: threading.Event | None = None
    ) -> None:
        self._services = services
        self._alone = alone
        self._stop = stop or threading.Event()
        self._worker = worker_id()
        self.on_job: OnJob | None = None

    def do(
        self,
        make: Callable[[Session], Job],
        *,
        patience_s: float | None = None,
        on_text: OnText | None = None,
    ) -> Job:
        """Make a job and return it when it is done; its failure is raised in its own words.

        A living worker gets it, `patience_s` long for those jobs that this process would rather do then.
        """
        with self._services.database.session() as s:
            job = make(s)
            alone = self._alone or not jobs.worker_alive(s)
            mine = alone and jobs.claim_job(s, job.id, self._worker)
        return self._see_through(job.id, mine, patience_s, on_text)

    def _see_through(self, job_id: int, mine: bool, patience_s: float | None, on_text: OnText | None) -> Job:
        waited_since = time.monotonic()
        while True:
            with self._services.database.session() as s:
                job = jobs.get_job(s, job_id)
                queued = job.status == "queued"
                impatient = patience_s is not None and time.monotonic() - waited_since > patience_s
                if queued and not mine and (impatient or self._alone or not jobs.worker_alive(s)):
                    mine = jobs.claim_job(s, job_id, self._worker)
                    job = jobs.get_job(s, job_id)
            if mine:
                self._run(job, on_text)
                mine = False
                continue
            if job.status not in ("queued", "running"):
                return self._ended(job)
            self._watch(job, on_text)

    def _run(self, job: Job, on_text: OnText | None) -> None:
        watching = threading.Event()
        shown = threading.Thread(target=self._show_progress, args=(job.id, watching), daemon=True)
        shown.start()
        try:
            self._services.take_choices()
            error = run_job(self._services, job, self._worker, stop=self._stop, on_text=on_text)
        finally:
            watching.set()
            shown.join()
        if isinstance(error, JobStoppedError):
            raise KeyboardInterrupt
        if error is not None and not isinstance(error, JobCancelledError):
            raise error

    def _show_progress(self, job_id: int, over: threading.Event) -> None:
        while not over.wait(POLL_S * 2):
            self._report(job_id)

    def _report(self, job_id: int) -> None:
        if self.on_job is not None:
            with self._services.database.session() as s:
                self.on_job(jobs.get_job(s, job_id))

    def _watch(self, job: Job, on_text: OnText | None) -> None:
        if self._stop.wait(POLL_S):
            raise KeyboardInterrupt
        if self.on_job is not None:
            self.on_job(job)
        if on_text is not None:
            with self._services.database.session() as s:
                finding = findings.find_by_job(s, job.id)
            if finding is not None and finding.answer:
                on_text(finding.answer)

    def _ended(self, job: Job) -> Job:
        if self.on_job is not None:
            self.on_job(job)
        if job.status == "cancelled":
            hint = "Run the command again to go on."
            raise AppError("cancelled", f"The {job.kind} job was cancelled.", hint)
        if job.status == "failed":
            raise AppError("job_failed", job.error or f"The {job.kind} job failed.", job.hint)
        return job
