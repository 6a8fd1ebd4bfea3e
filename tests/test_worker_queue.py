"""The worker: takes jobs in order, answers between the steps of long ones, outlives what goes wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from app_home import fill, make_services, prose, write_files

from app import library, reading, running
from app.questions import submit
from app.running import is_dead, worker_id
from app.services import Services
from app.worker import Worker
from storage import BusyError, Database, Job, findings, jobs


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


def job_of(services: Services, kind: str) -> Job:
    with services.database.session() as s:
        return next(job for job in jobs.list_jobs(s) if job.kind == kind)


def test_an_exception_fails_its_job_and_the_worker_goes_on(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = library.create_archive(services, "Archive")
    with services.database.session() as s:
        jobs.enqueue(s, "nonsense", archive.id, {})
    library.add_files(services, archive, [write_files(tmp_path / "in", {"a.txt": "Text."})])
    Worker(services).run_until_idle()
    assert job_of(services, "nonsense").status == "failed"
    assert "nonsense" in job_of(services, "nonsense").error
    assert job_of(services, "read").status == "done"


def test_a_question_is_answered_between_two_chunks_of_a_reading(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.ASK_EVERY_S", 0.0)
    archive = library.create_archive(services, "Archive")
    files = {f"d{number}.txt": prose(number, 8) for number in range(4)}
    library.add_files(services, archive, [write_files(tmp_path / "in", files)])
    take = reading.Reader._take
    asked: list[int] = []
    at_answer: list[float] = []

    def taken(self: Any, step: Any, feed: Any) -> None:
        take(self, step, feed)
        if not asked:
            asked.append(submit(services, archive, "What is said of the river?").finding.id)
        elif not at_answer:
            with services.database.session() as s:
                if findings.get_finding(s, asked[0]).status != "running":
                    at_answer.append(step.tokens_read)

    monkeypatch.setattr(reading.Reader, "_take", taken)
    Worker(services).run_until_idle()
    assert at_answer, "the answer came only after the reading"
    assert at_answer[0] <= 3072


def test_worker_ids_tell_a_dead_process_from_a_living_one() -> None:
    assert not is_dead(worker_id())
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    created = int(psutil.Process(process.pid).create_time())
    process.wait()
    assert is_dead(f"{socket.gethostname()}:{process.pid}:{created}")
    assert is_dead(f"{socket.gethostname()}:{os.getpid()}:{created - 1000}"), (
        "the number was given to another process"
    )
    assert not is_dead(f"elsewhere:{process.pid}:{created}")
    assert not is_dead("a name of another kind")


def test_a_new_worker_takes_up_at_once_what_a_dead_one_left(services: Services, tmp_path: Path) -> None:
    archive = library.create_archive(services, "Archive")
    library.add_files(services, archive, [write_files(tmp_path / "in", {"a.txt": "Text."})])
    dead = f"{socket.gethostname()}:4194304:1000000"
    with services.database.session() as s:
        jobs.beat_worker(s, dead)
        assert jobs.claim(s, dead) is not None
    worker = Worker(services)
    assert worker.run_until_idle() == 0
    worker._take_over()
    assert worker.run_until_idle() > 0
    assert job_of(services, "ingest").status == "done"
    with services.database.session() as s:
        assert jobs.list_workers(s) == []


def test_a_finding_whose_job_is_over_is_closed_at_the_next_start(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", {"a.txt": "Some text."})
    asked = submit(services, archive, "What is said?")
    with services.database.session() as s:
        jobs.claim_job(s, asked.job.id, "gone")
        jobs.fail(s, asked.job.id, "It broke.", worker="gone")
    Worker(services)._take_over()
    with services.database.session() as s:
        finding = findings.get_finding(s, asked.finding.id)
    assert (finding.status, finding.error) == ("failed", "It broke.")


def test_two_workers_share_the_queue_without_doing_a_job_twice(services: Services, tmp_path: Path) -> None:
    archives = [library.create_archive(services, f"Archive {number}") for number in range(4)]
    for number, archive in enumerate(archives):
        folder = write_files(tmp_path / str(number), {f"{number}-{n}.txt": prose(n, 2) for n in range(3)})
        library.add_files(services, archive, [folder])
    others = [Services(services.options, engine=services.engine, meter=services.meter) for _ in range(2)]
    lock = threading.Lock()  # the model is one; what is tried here is the queue
    do = running._do

    def one_at_a_time(*arguments: Any) -> Any:
        with lock:
            return do(*arguments)

    workers = [Worker(other) for other in others]
    workers[1].id += "b"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(running, "_do", one_at_a_time)
        threads = [threading.Thread(target=worker.run_until_idle) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    Worker(services).run_until_idle()
    with services.database.session() as s:
        ended = jobs.list_jobs(s)
    assert {job.status for job in ended} == {"done"}
    assert {job.attempts for job in ended} == {1}


def test_a_locked_database_is_waited_for(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.worker.TROUBLE_S", 0.0)
    worker = Worker(services)
    session, failures = Database.session, [1]

    def sometimes(self: Database) -> Any:
        if failures:
            failures.pop()
            raise BusyError("database_locked", "The database is in use by another program.")
        return session(self)

    with services.database.session() as s:
        jobs.enqueue(s, "nonsense", None, {})
    monkeypatch.setattr(Database, "session", sometimes)
    assert worker.run_until_idle() == 0
    assert worker.run_until_idle() == 1


def test_the_end_of_a_job_is_written_once_the_database_is_free(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SETTLE_PAUSE_S", 0.0)
    with services.database.session() as s:
        job = jobs.enqueue(s, "nonsense", None, {})
        jobs.claim_job(s, job.id, "me")
    fail, refusals = jobs.fail, [1, 2]

    def busy(*arguments: Any, **named: Any) -> bool:
        if refusals:
            refusals.pop()
            raise BusyError("database_locked", "The database is in use by another program.")
        return fail(*arguments, **named)

    monkeypatch.setattr(jobs, "fail", busy)
    running.run_job(services, job, "me")
    assert job_of(services, "nonsense").status == "failed"


def test_the_worker_says_what_it_is(services: Services) -> None:
    worker = Worker(services)
    worker._say_alive()
    with services.database.session() as s:
        (record,) = jobs.list_workers(s)
    assert record.alive
    assert record.info["pid"] == os.getpid()
    assert record.info["model"] == "default"
    assert record.info["device"] == "cpu"
    assert record.info["memory_bytes"]
