"""The worker process: one lane for what needs the model, questions first; one beside it that parses files."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.errors import describe
from app.fitting import memory_plan
from app.idle import IdleWatch
from app.inquiry import resident_bytes
from app.live import sweep
from app.running import is_dead, run_job, worker_id
from app.services import Services
from app.tidying import tidy
from storage import Document, Finding, Job, StorageError, findings, jobs

log = logging.getLogger(__name__)
POLL_S = 0.4
BEAT_S = 5.0
TROUBLE_S = 2.0
ASK_EVERY_S = 0.2
PARSING = ("ingest",)
"""Files are parsed while the model reads what is parsed already."""
ASIDE = ("model",)
"""Kinds of jobs that only wait for a network or a disk: done beside the others, not between them."""
ASIDE_POLL_S = 1.0
QUICK = ("ask", "spikes")  # answered between the steps of a long job


class Worker:
    """Takes work from the queue until told to stop."""

    def __init__(self, services: Services) -> None:
        self.id = worker_id()
        self._services = services
        self._stop = threading.Event()
        self._looked_at = 0.0
        self._warm = False
        self._idle = IdleWatch()

    def run_forever(self) -> None:
        """Work until SIGTERM or SIGINT; the job in hand then goes back to the queue, its progress saved."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        beating = threading.Thread(target=self._keep_alive, name="worker-heartbeat", daemon=True)
        beside = [
            threading.Thread(target=self._work_on, args=work, name=f"worker-{work[0][0]}", daemon=True)
            for work in ((PARSING, POLL_S), (ASIDE, ASIDE_POLL_S))
        ]
        try:
            self._say_alive()
            self._take_over()
            beating.start()
            for thread in beside:
                thread.start()
            log.info("worker %s started", self.id)
            while not self._stop.is_set():
                if self._services.follow_default():
                    self._warm = False
                if not self._step(without=(*PARSING, *ASIDE)):
                    self._warm_up()
                    self._look_at_idleness()
                    self._stop.wait(POLL_S)
        finally:
            self._stop.set()
            for thread in (beating, *beside):
                if thread.is_alive():
                    thread.join()
            self._say_goodbye()

    def run_until_idle(self) -> int:
        """Do everything that is queued; returns how many jobs were done."""
        count = 0
        while not self._stop.is_set() and self._step():
            count += 1
            self._services.follow_default()
        return count

    def stop(self) -> None:
        """Ask for a clean end."""
        self._stop.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    def _work_on(self, kinds: tuple[str, ...], poll_s: float) -> None:
        while not self._stop.is_set():
            if not self._step(kinds):
                self._stop.wait(poll_s)

    def _step(self, kinds: tuple[str, ...] | None = None, *, without: tuple[str, ...] = ()) -> bool:
        """Claim and do one job; False when there is none."""
        try:
            if kinds is None and self._services.take_choices():  # within a job its model is not changed
                self._warm = False
            with self._services.database.session() as s:
                job = jobs.claim(s, self.id, kinds, without=without)
        except StorageError as error:  # a locked database or a full disk passes; the worker outlives it
            log.warning("the queue could not be read: %s", error.message)
            self._stop.wait(TROUBLE_S)
            return False
        if job is None:
            return False
        log.info("job %d: %s", job.id, job.kind)
        self._idle.busy()
        run_job(self._services, job, self.id, stop=self._stop, serve=None if kinds else self._serve)
        return True

    def _serve(self) -> None:
        """Between two steps of a long job: questions go first."""
        if time.monotonic() - self._looked_at < ASK_EVERY_S:
            return
        while not self._stop.is_set() and self._step(QUICK):
            pass
        self._looked_at = time.monotonic()

    def _warm_up(self) -> None:
        """Load the model in the first idle moment, so that the first question need not wait for it."""
        if self._warm:
            return
        self._warm = True
        try:
            log.info("model %s loaded on %s", self._services.model_name, self._services.engine.device)
        except Exception as error:  # the first job that needs the model will say it to the person
            log.warning("the model could not be loaded: %s", describe(error).message)

    def _look_at_idleness(self) -> None:
        if self._services.engine_loaded:
            self._idle.idle(self._services.meter)

    def _take_over(self) -> None:
        """Queue again what dead processes of this machine left, and mend what they left half-done."""
        with self._services.database.session() as s:
            names = {worker.id for worker in jobs.list_workers(s)}
            names |= set(
                s.scalars(select(Job.worker).where(Job.status == "running", Job.worker.is_not(None)))
            )
            dead = [name for name in names if name and name != self.id and is_dead(name)]
        with self._services.database.session() as s:
            for name in dead:
                jobs.requeue_orphans(s, name)
                jobs.remove_worker(s, name)
            _adopt_documents(s)
            _settle_findings(s)
            alone = len(jobs.list_workers(s)) <= 1
        if alone:
            sweep(self._services.home)
        tidy(self._services)

    def _say_alive(self) -> None:
        info = self._describe()
        with self._services.database.session() as s:
            jobs.beat_worker(s, self.id, **info)

    def _describe(self) -> dict[str, Any]:
        options = self._services.options
        info = {"pid": os.getpid(), "model": self._services.model_name, "device": options.device}
        info["memory_bytes"] = resident_bytes()
        if self._services.engine_loaded:
            engine = self._services.engine
            info |= {"device": engine.device, "backend": engine.backend, "model_bytes": engine.nbytes}
            info |= {"description": engine.config.describe(), "fingerprint": engine.fingerprint}
            info["plan"] = memory_plan(engine).as_dict()
            meter = self._services.meter
            info |= {"power_source": meter.source, "power_kind": meter.kind, "power_reason": meter.reason}
            info |= {"idle_power_w": meter.idle_w, "spike_k": engine.config.spike and engine.config.spike.k}
        info |= {"device_note": self._services.device_note, "fixed": self._services.device_is_fixed}
        return info

    def _say_goodbye(self) -> None:
        try:
            with self._services.database.session() as s:
                jobs.remove_worker(s, self.id)
        except StorageError as error:
            log.warning("could not sign off: %s", error.message)

    def _keep_alive(self) -> None:
        while not self._stop.wait(BEAT_S):
            try:
                self._say_alive()
            except StorageError as error:
                log.warning("worker heartbeat not written: %s", error.message)


def _adopt_documents(s: Session) -> None:
    """Documents that wait to be parsed while no job will do it get one."""
    waiting = select(Document.archive_id).where(Document.status.in_(("queued", "parsing"))).distinct()
    for archive_id in s.scalars(waiting).all():
        active = jobs.list_jobs(s, archive_id, active=True)
        if not any(job.kind == "ingest" for job in active):
            jobs.enqueue(s, "ingest", archive_id, {})


def _settle_findings(s: Session) -> None:
    """Findings whose job is over without an answer say so."""
    over = select(Finding.id, Job.status, Job.error).outerjoin(Job, Job.id == Finding.job_id)
    ended = or_(Job.id.is_(None), Job.status.not_in(("queued", "running")))
    over = over.where(Finding.status == "running", ended)
    for finding_id, status, error in s.execute(over).all():
        end = "cancelled" if status == "cancelled" else "failed"
        findings.update_finding(s, finding_id, status=end, error=error or "")
