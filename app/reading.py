"""The read job: one context over all documents of an archive, from the nearest saved state on."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.orm import Session

from app.chain import Plan
from app.checkpoints import Ladder
from app.errors import JobCancelledError, JobStoppedError
from app.feed import Feed, TokensChangedError
from app.fitting import Room, memory_plan, refuse_reading
from app.measuring import Stretch
from app.retokenising import agree_on_tokenizer
from app.services import Services
from app.task import Task
from storage import NotFoundError, checkpoints, documents, jobs, metrics, passages
from storage.models import Job

if TYPE_CHECKING:
    from engine.runs import ReadProgress

CHECKPOINT_S = 30.0  # the most reading that a crash may cost
DOCUMENT_CHECKPOINT_S = 15.0  # at a document's end a state is saved if the last is at least this old
SHOW_S = 1.0
LOOK_S = 2.0


def run_read(services: Services, task: Task) -> dict[str, Any]:
    """Read what the newest valid checkpoint lacks; documents added or removed meanwhile are noticed."""
    if task.job.payload.get("again"):
        _forget(services, task.job)
    return Reader(services, task).run()


class Reader:
    """Drives the engine over the plan and keeps the database and the saved states in step with it."""

    def __init__(self, services: Services, task: Task) -> None:
        assert task.job.archive_id is not None
        self._services = services
        self._task = task
        self._archive_id = task.job.archive_id
        task.progress(0, 0, "tokens", "loading the model", at_once=True)
        self._engine = services.engine
        self._ladder = Ladder(services, self._archive_id)
        agree_on_tokenizer(services, task, self._archive_id)
        self._stretch = Stretch(services.meter)
        self._codes: dict[int, bytes] = {}
        self._read_tokens = 0
        # What the database knows of: tokens in the last checkpoint, documents marked read, and when.
        self._saved_tokens = self._saved_whole = self._shown_whole = self._counted = 0
        self._saved_at = self._shown_at = time.monotonic()
        self._checkpoints, self._checkpoint_s = 0, 0.0

    def run(self) -> dict[str, Any]:
        """Read until nothing is left; returns what was done."""
        self._plan = self._load_plan()
        self._refuse_too_long()
        self._ladder.prune(self._plan)
        self._resume()
        started_at = self._state.tokens_read
        try:
            while self._state.tokens_read < self._plan.total or not self._save():
                self._read_on()
                self._replan()
        finally:
            self._stretch.close()
        self._task.progress(self._state.tokens_read, self._plan.total, "tokens", "read", at_once=True)
        return {
            "tokens": self._state.tokens_read,
            "resumed_at": started_at,
            "read_now": self._read_tokens,
            "documents": len(self._plan.entries),
            "checkpoints": self._checkpoints,
            "checkpoint_s": self._checkpoint_s,
        }

    def _refuse_too_long(self) -> None:
        """UserError with numbers where the model's memory grows beyond what there is, in RAM or on disk."""
        room = Room.now(self._services.home, self._archive_id)
        refuse_reading(memory_plan(self._engine), self._plan.total, room)

    def _read_on(self) -> None:
        """Read along the plan until it ends or changes."""
        feed = Feed(self._services, self._plan, self._state.tokens_read)
        ends = feed.ends() if self._engine.code_bits else None
        looked_at = time.monotonic()
        try:
            reading = self._engine.read(feed.ids(), self._state, ends)
            with closing(cast("Generator[ReadProgress, None, None]", reading)) as steps:
                for step in steps:
                    self._take(step, feed)
                    self._stretch.interrupted(self._task.between())
                    if time.monotonic() - looked_at > LOOK_S:
                        looked_at = time.monotonic()
                        if self._load_plan() != self._plan:
                            return
        except (JobCancelledError, JobStoppedError):
            if not self._task.lost:
                self._save()
            raise
        except TokensChangedError:
            agree_on_tokenizer(self._services, self._task, self._archive_id, again=True)
        except NotFoundError:  # a document was removed just before its turn; the new plan lacks it
            if self._load_plan() == self._plan:
                raise

    def _take(self, step: ReadProgress, feed: Feed) -> None:
        self._codes.update({feed.passage_ids[index]: code for index, code in step.codes})
        self._read_tokens += step.tokens_read - self._counted
        self._counted = step.tokens_read
        whole, now = self._plan.whole(step.tokens_read), time.monotonic()
        at_end = whole > self._saved_whole
        if now - self._saved_at >= (DOCUMENT_CHECKPOINT_S if at_end else CHECKPOINT_S):
            self._save()
        elif now - self._shown_at >= SHOW_S:
            self._show()
        name = self._plan.entries[min(whole, len(self._plan.entries) - 1)].name
        self._task.progress(step.tokens_read, self._plan.total, "tokens", f"reading {name}")

    def _show(self) -> None:
        """Write codes and statuses now, ahead of the next checkpoint."""
        with self._services.database.session() as s:
            self._write_progress(s)
        self._written()

    def _save(self) -> bool:
        """Checkpoint, codes and statuses in the same transaction; False if the documents changed under us."""
        if self._state.tokens_read == self._saved_tokens:
            self._show()
            return self._load_plan() == self._plan
        began_at = time.monotonic()
        if not self._ladder.save(self._state, self._plan, self._write_checkpoint):
            return False
        self._checkpoints += 1
        self._checkpoint_s += time.monotonic() - began_at
        self._written()
        self._saved_tokens, self._saved_whole = self._state.tokens_read, self._shown_whole
        self._saved_at = time.monotonic()
        self._stretch.begin(self._state.tokens_read)
        return True

    def _write_checkpoint(self, s: Session) -> bool:
        current = Plan.load(s, self._archive_id)
        if not current.continues(self._plan, self._state.tokens_read):
            return False
        self._write_progress(s)
        job = s.get(Job, self._task.job.id)
        if job is not None:
            job.attempts = min(job.attempts, 1)  # it moves on, so earlier crashes do not count against it
        values = self._stretch.end(self._state.tokens_read, self._engine.last_run)
        if values:
            metrics.add_metric(s, "read", values, archive_id=self._archive_id, job_id=self._task.job.id)
        return True

    def _write_progress(self, s: Session) -> None:
        passages.set_codes(s, self._engine.fingerprint, self._codes)
        whole, touched = (count(self._state.tokens_read) for count in (self._plan.whole, self._plan.touched))
        for entry in self._plan.entries[self._shown_whole : whole]:
            _set_status(s, entry.document_id, "ready")
        for entry in self._plan.entries[whole:touched]:
            _set_status(s, entry.document_id, "reading")

    def _written(self) -> None:
        self._codes = {}
        self._shown_at = time.monotonic()
        self._shown_whole = self._plan.whole(self._state.tokens_read)

    def _replan(self) -> None:
        """Go on under the documents as they are: with this state if it still fits, else from a checkpoint."""
        plan = self._load_plan()
        if plan == self._plan:
            return
        if plan.continues(self._plan, self._state.tokens_read):
            self._plan = plan
        else:
            self._plan, self._codes = plan, {}
            self._ladder.prune(plan)
            self._resume()

    def _resume(self) -> None:
        """Take the longest saved state that fits; documents beyond it are unread, those in it are read."""
        self._state, _ = self._ladder.load(self._plan)
        tokens = self._state.tokens_read
        self._counted = self._saved_tokens = tokens
        self._saved_at = self._shown_at = time.monotonic()
        self._shown_whole = self._saved_whole = self._plan.whole(tokens)
        self._stretch.begin(tokens)
        with self._services.database.session() as s:
            documents.mark_unread(s, self._archive_id, self._shown_whole)
            for entry in self._plan.entries[: self._shown_whole]:
                if documents.get_document(s, entry.document_id).status != "ready":
                    _set_status(s, entry.document_id, "ready")

    def _load_plan(self) -> Plan:
        with self._services.database.session() as s:
            return Plan.load(s, self._archive_id)


def _forget(services: Services, job: Job) -> None:
    """Drop all that was read of the archive, once: taken up again, the job goes on from its own states."""
    assert job.archive_id is not None
    with services.database.session() as s:
        files = checkpoints.remove_checkpoints(s, job.archive_id)
        passages.clear_codes(s, job.archive_id)
        documents.mark_unread(s, job.archive_id)
        jobs.get_job(s, job.id).payload = {}
    for name in files:
        (services.home.states / name).unlink(missing_ok=True)


def _set_status(s: Session, document_id: int, status: str) -> None:
    try:
        documents.set_status(s, document_id, status)
    except NotFoundError:  # removed meanwhile; the next look at the plan finds out
        return
