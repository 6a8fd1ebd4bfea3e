"""Two real processes race for the same jobs and the same documents."""

from __future__ import annotations

import multiprocessing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from storage_rows import add_archive, add_text, new_database

from storage import Database, archives, documents, jobs

_JOBS = 40


def _claim_all(url: str, worker: str, start: Barrier, out: Queue[tuple[str, list[int]]]) -> None:
    database, claimed = Database(url), []
    start.wait()
    while True:
        with database.session() as s:
            job = jobs.claim(s, worker)
        if job is None:
            break
        claimed.append(job.id)
        with database.session() as s:
            jobs.beat(s, job.id, done=1, worker=worker)
    database.close()
    out.put((worker, claimed))


def _add_documents(url: str, worker: str, start: Barrier, out: Queue[tuple[str, list[int]]]) -> None:
    database = Database(url)
    start.wait()
    for number in range(10):
        with database.session() as s:
            archive = archives.get_archive(s, "Papers")
            documents.add_document(s, archive.id, "shared", f"{number:064d}", 1, "text/plain")
            add_text(s, archive, f"{worker}-{number}", "words\n")
    database.close()
    out.put((worker, []))


def _race(target: object, url: str) -> dict[str, list[int]]:
    context = multiprocessing.get_context("spawn")
    start, out = context.Barrier(2), context.Queue()
    racers = [context.Process(target=target, args=(url, f"w{n}", start, out)) for n in range(2)]  # type: ignore[arg-type]
    for racer in racers:
        racer.start()
    results = dict(out.get(timeout=30) for _ in racers)
    for racer in racers:
        racer.join()
    return results


def test_every_job_is_claimed_exactly_once(tmp_path: Path) -> None:
    with new_database(tmp_path) as db:
        with db.session() as s:
            ids = [jobs.enqueue(s, "ask", None, {}).id for _ in range(_JOBS)]
        results = _race(_claim_all, str(db.url))
        claimed = [job_id for one in results.values() for job_id in one]
        assert sorted(claimed) == ids
        with db.session() as s:
            owners = {job.id: job.worker for job in jobs.list_jobs(s)}
        assert all(owners[job_id] == worker for worker, one in results.items() for job_id in one)


def test_documents_added_by_two_processes_stand_in_one_order(tmp_path: Path) -> None:
    with new_database(tmp_path) as db:
        with db.session() as s:
            archive = add_archive(s)
        _race(_add_documents, str(db.url))
        with db.session() as s:
            placed = documents.reading_order(s, archive.id)
            shared = [d for d in documents.list_documents(s, archive.id) if d.name == "shared"]
    assert [d.position for d in placed] == list(range(20))
    assert len(shared) == 10
