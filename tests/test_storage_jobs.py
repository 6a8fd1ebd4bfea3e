"""Jobs: claimed once, alive while beating, progress told, cancelled, taken over, given up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from storage_rows import add_archive, new_database

from storage import Beat, Database, Job, NotFoundError, claims, findings, jobs
from storage.columns import utc_now


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


def age(s: Session, job_id: int, seconds: float) -> None:
    """Pretend that the job was last heard from some time ago."""
    s.execute(update(Job).where(Job.id == job_id).values(heartbeat_at=utc_now() - timedelta(seconds=seconds)))


def test_urgent_jobs_come_first_then_the_oldest(db: Database) -> None:
    with db.session() as s:
        ids = [
            jobs.enqueue(s, kind, None, {}, priority).id
            for kind, priority in (("read", 0), ("ask", 10), ("read", 0), ("ask", 10))
        ]
    order = []
    for _ in range(5):
        with db.session() as s:
            job = jobs.claim(s, "w")
            order.append(job and job.id)
    assert order == [ids[1], ids[3], ids[0], ids[2], None]


def test_claim_keeps_to_the_kinds_asked_for(db: Database) -> None:
    with db.session() as s:
        jobs.enqueue(s, "read", None, {})
        assert jobs.claim(s, "w", kinds=["ask"]) is None
        ask = jobs.enqueue(s, "ask", None, {"question": "Why?"}, priority=10)
        claimed = jobs.claim(s, "w", kinds=["ask"])
    assert claimed is not None
    assert (claimed.id, claimed.status, claimed.worker, claimed.attempts) == (ask.id, "running", "w", 1)
    assert claimed.payload == {"question": "Why?"}
    assert claimed.started_at is not None


def test_claim_job_succeeds_once(db: Database) -> None:
    with db.session() as s:
        job = jobs.enqueue(s, "ask", None, {})
        assert jobs.claim_job(s, job.id, "one")
        assert not jobs.claim_job(s, job.id, "two")
        assert not jobs.claim_job(s, 999, "two")
        assert jobs.get_job(s, job.id).worker == "one"


def test_one_reader_an_archive(db: Database) -> None:
    with db.session() as s:
        one, two = add_archive(s, "One"), add_archive(s, "Two")
        first = jobs.enqueue(s, "read", one.id, {})
        waiting = jobs.enqueue(s, "read", one.id, {})
        other = jobs.enqueue(s, "read", two.id, {})
        ingest = jobs.enqueue(s, "ingest", one.id, {})
        taken = [job.id for job in (jobs.claim(s, f"w{n}") for n in range(4)) if job]
        assert taken == [first.id, other.id, ingest.id]
        assert not jobs.claim_job(s, waiting.id, "w")
        jobs.finish(s, first.id)
        assert jobs.claim_job(s, waiting.id, "w")


def test_silent_workers_job_is_taken_over_and_the_old_worker_told(db: Database) -> None:
    with db.session() as s:
        job = jobs.enqueue(s, "read", add_archive(s).id, {})
        jobs.claim(s, "old")
        age(s, job.id, claims.LOST_AFTER_S - 5)
        assert jobs.claim(s, "new") is None
        age(s, job.id, claims.LOST_AFTER_S + 1)
        taken = jobs.claim(s, "new")
        assert taken is not None
        assert (taken.worker, taken.attempts) == ("new", 2)
        assert jobs.beat(s, job.id, worker="old") is Beat.LOST
        assert not jobs.finish(s, job.id, worker="old")
        assert not jobs.fail(s, job.id, "late", worker="old")
        assert not jobs.release(s, job.id, worker="old")
        assert jobs.beat(s, job.id, worker="new") is Beat.GO
        assert jobs.finish(s, job.id, {"tokens": 3}, worker="new")
        assert jobs.get_job(s, job.id).result == {"tokens": 3}


def test_beat_on_a_job_that_is_over_or_gone_is_lost(db: Database) -> None:
    with db.session() as s:
        job = jobs.enqueue(s, "ask", None, {})
        assert not jobs.beat(s, job.id)
        jobs.claim(s, "w")
        assert jobs.beat(s, job.id)
        jobs.finish(s, job.id)
        assert jobs.beat(s, job.id) is Beat.LOST
        assert jobs.beat(s, 999) is Beat.LOST


def test_progress_is_stored(db: Database) -> None:
    with db.session() as s:
        job = jobs.enqueue(s, "read", None, {})
        jobs.claim(s, "w")
        jobs.beat(s, job.id, done=10, total=40, unit="tokens", message="reading a.pdf", rate=5.0)
        seen = jobs.get_job(s, job.id)
        assert (seen.done, seen.total, seen.unit, seen.message) == (10, 40, "tokens", "reading a.pdf")
        assert (seen.rate, seen.eta_s) == (5.0, 6.0)
        jobs.beat(s, job.id, message="still")
        assert jobs.get_job(s, job.id).done == 10


def test_rate_and_eta_are_worked_out(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = utc_now()
    clock = iter(now + timedelta(seconds=n) for n in range(100))
    current: list[datetime] = [now]
    for module in (jobs, claims):
        monkeypatch.setattr(module, "utc_now", lambda: current[0])
    with db.session() as s:
        job = jobs.enqueue(s, "read", None, {})
        jobs.claim(s, "w")
        noise = random.Random(1)
        for step in range(60):
            current[0] = next(clock)
            jobs.beat(s, job.id, done=step * 100 + noise.uniform(-40, 40) * (step > 0), total=10_000)
        seen = jobs.get_job(s, job.id)
    assert seen.rate == pytest.approx(100, rel=0.15)
    assert seen.eta_s == pytest.approx((10_000 - seen.done) / 100, rel=0.15)


def test_queued_job_is_cancelled_at_once(db: Database) -> None:
    with db.session() as s:
        job = jobs.enqueue(s, "read", None, {})
        assert jobs.cancel(s, job.id).status == "cancelled"
        assert jobs.claim(s, "w") is None


def test_running_job_is_cancelled_by_its_runner(db: Database) -> None:
    with db.session() as s:
        job = jobs.enqueue(s, "read", None, {})
        jobs.claim(s, "w")
        assert jobs.cancel(s, job.id).status == "running"
        assert jobs.beat(s, job.id, done=5, worker="w") is Beat.CANCELLED
        assert jobs.confirm_cancelled(s, job.id, worker="w")
        ended = jobs.get_job(s, job.id)
        assert (ended.status, ended.done) == ("cancelled", 5)
        assert ended.finished_at is not None


def test_cancel_leaves_a_finished_job_alone(db: Database) -> None:
    with db.session() as s:
        job = jobs.enqueue(s, "read", None, {})
        jobs.claim(s, "w")
        jobs.finish(s, job.id)
        assert jobs.cancel(s, job.id).status == "done"


def test_job_cancelled_while_its_worker_died_is_not_run_again(db: Database) -> None:
    with db.session() as s:
        running, silent = jobs.enqueue(s, "read", None, {}), jobs.enqueue(s, "ask", None, {})
        for job in (running, silent):
            jobs.claim_job(s, job.id, "w")
        jobs.cancel(s, running.id)
        for job in (running, silent):
            age(s, job.id, 60)
        assert jobs.cancel(s, silent.id).status == "cancelled"
        assert jobs.claim(s, "new") is None
        assert jobs.get_job(s, running.id).status == "cancelled"


def test_job_that_keeps_losing_its_worker_fails_with_a_reason(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        job = jobs.enqueue(s, "ask", archive.id, {})
        finding = findings.create_finding(s, archive.id, job.id, "Why?")
        for _ in range(claims.MAX_LOSSES):
            assert jobs.claim(s, "w") is not None
            age(s, job.id, 60)
        assert jobs.claim(s, "w") is None
        ended = jobs.get_job(s, job.id)
        assert ended.status == "failed"
        assert "stopped" in ended.error
        assert ended.hint
        assert findings.get_finding(s, finding.id).status == "failed"


def test_released_job_is_queued_and_costs_no_attempt(db: Database) -> None:
    with db.session() as s:
        job = jobs.enqueue(s, "read", None, {})
        jobs.claim(s, "w")
        assert jobs.release(s, job.id, worker="w")
        again = jobs.claim(s, "next")
        assert again is not None
        assert (again.id, again.attempts, again.worker) == (job.id, 1, "next")


def test_orphans_of_a_dead_worker_are_queued_at_once(db: Database) -> None:
    with db.session() as s:
        mine, other = jobs.enqueue(s, "read", None, {}), jobs.enqueue(s, "ask", None, {})
        jobs.claim_job(s, mine.id, "dead")
        jobs.claim_job(s, other.id, "alive")
        assert jobs.requeue_orphans(s, "dead") == 1
        claimed = jobs.claim(s, "new")
        assert claimed is not None
        assert (claimed.id, claimed.attempts) == (mine.id, 2)


@pytest.mark.parametrize("end", ["fail", "cancel", "confirm"])
def test_finding_does_not_keep_running_without_its_job(db: Database, end: str) -> None:
    with db.session() as s:
        archive = add_archive(s)
        job = jobs.enqueue(s, "ask", archive.id, {})
        finding = findings.create_finding(s, archive.id, job.id, "Why?")
        if end == "cancel":
            jobs.cancel(s, job.id)
        else:
            jobs.claim(s, "w")
            jobs.fail(s, job.id, "Out of memory.") if end == "fail" else jobs.confirm_cancelled(s, job.id)
        found = findings.get_finding(s, finding.id)
    assert found.status == ("failed" if end == "fail" else "cancelled")
    assert found.finished_at is not None


def test_once_returns_the_queued_twin(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        first = jobs.enqueue(s, "read", archive.id, {}, once=True)
        assert jobs.enqueue(s, "read", archive.id, {}, once=True).id == first.id
        assert jobs.enqueue(s, "read", archive.id, {"x": 1}, once=True).id != first.id
        jobs.claim_job(s, first.id, "w")
        assert jobs.enqueue(s, "read", archive.id, {}, once=True).id != first.id


def test_list_and_get(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        one, two = jobs.enqueue(s, "read", archive.id, {}), jobs.enqueue(s, "ask", None, {})
        jobs.cancel(s, one.id)
        assert [j.id for j in jobs.list_jobs(s)] == [two.id, one.id]
        assert [j.id for j in jobs.list_jobs(s, archive.id)] == [one.id]
        assert [j.id for j in jobs.list_jobs(s, active=True)] == [two.id]
        with pytest.raises(NotFoundError):
            jobs.get_job(s, 999)


def test_worker_is_alive_while_it_beats(db: Database) -> None:
    with db.session() as s:
        assert not jobs.worker_alive(s)
        jobs.beat_worker(s, "host:1", pid=1, device="cpu")
        assert jobs.worker_alive(s)
        assert [(w.id, w.alive, w.info) for w in jobs.list_workers(s)] == [
            ("host:1", True, {"pid": 1, "device": "cpu"})
        ]
        jobs.remove_worker(s, "host:1")
        assert not jobs.worker_alive(s)


def test_worker_not_heard_from_is_not_alive(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage import workers

    with db.session() as s:
        jobs.beat_worker(s, "host:1")
        later = utc_now() + timedelta(seconds=workers.ALIVE_S + 1)
        monkeypatch.setattr(workers, "utc_now", lambda: later)
        assert not jobs.worker_alive(s)
        assert [w.alive for w in jobs.list_workers(s)] == [False]
