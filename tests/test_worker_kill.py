"""kill -9 of a real worker in the middle of its work: nothing is lost, nothing is read twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from app_home import fill, make_home, make_services, prose, tiny_engine, write_files

from app import library
from app.chain import Plan
from app.checkpoints import Ladder
from app.services import Services
from engine import ContextState
from storage import Archive, checkpoints, documents, jobs, passages

ROOT = Path(__file__).resolve().parent.parent
FILES = {f"d{number}.txt": prose(number, 12) for number in range(6)}
# The worker as it is, but with a checkpoint at every chunk and slow enough to be caught in the middle.
SLOWED = """
import sys, time
sys.argv = ["app", *sys.argv[1:]]
from app import reading
take = reading.Reader._take
def slowly(self, step, feed):
    take(self, step, feed)
    time.sleep({pause})
reading.Reader._take = slowly
reading.CHECKPOINT_S = {every}
reading.DOCUMENT_CHECKPOINT_S = {every}
from app.cli import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def worker(home: Path, pause: float = 0.02, every: float = 0.0) -> Iterator[subprocess.Popen[bytes]]:
    """A real `python -m app worker` process over that home."""
    code = SLOWED.format(pause=pause, every=every)
    environment = {**os.environ, "ENGRAM_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "worker"]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def saved_tokens(services: Services, archive: Archive) -> int:
    with services.database.session() as s:
        return max((rung.tokens for rung in checkpoints.list_checkpoints(s, archive.id)), default=0)


def newest_state(services: Services, archive: Archive) -> ContextState:
    with services.database.session() as s:
        plan = Plan.load(s, archive.id)
    return Ladder(services, archive.id).load(plan)[0]


def is_read(services: Services, archive: Archive) -> bool:
    with services.database.session() as s:
        rows = documents.list_documents(s, archive.id)
        busy = jobs.list_jobs(s, archive.id, active=True)
    return len(rows) == len(FILES) and not busy and all(row.status == "ready" for row in rows)


def test_three_kills_leave_the_same_state_as_none(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    services = make_services(tmp_path)
    archive = library.create_archive(services, "Killed")
    library.add_files(services, archive, [write_files(tmp_path / "in", FILES) / name for name in FILES])
    reached = []
    for _ in range(3):
        goal = saved_tokens(services, archive) + 3072
        with worker(home) as process:
            wait_until(lambda goal=goal: saved_tokens(services, archive) >= goal)
            process.send_signal(signal.SIGKILL)
            process.wait()
        reached.append(saved_tokens(services, archive))
        assert not is_read(services, archive), "the kill came too late to show anything"
    with worker(home, pause=0.0) as process:
        wait_until(lambda: is_read(services, archive))

    whole = fill(services, tmp_path / "in", FILES, "Whole")
    killed, straight = newest_state(services, archive), newest_state(services, whole)
    assert 0 < reached[0] < reached[1] < reached[2] < straight.tokens_read
    assert killed.tokens_read == straight.tokens_read
    for (name, one), (other_name, other) in zip(
        killed.tensors().items(), straight.tensors().items(), strict=True
    ):
        assert name == other_name
        assert torch.equal(one, other), name
    with services.database.session() as s:
        codes = passages.load_codes(s, archive.id, tiny_engine().fingerprint)[1]
        others = passages.load_codes(s, whole.id, tiny_engine().fingerprint)[1]
    assert (codes == others).all()
    with services.database.session() as s:
        resumed = next(job.result for job in jobs.list_jobs(s, archive.id) if job.kind == "read")
    assert resumed is not None
    assert resumed["resumed_at"] + resumed["read_now"] == straight.tokens_read


def test_sigterm_saves_hands_the_job_back_and_signs_off(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    services = make_services(tmp_path)
    archive = library.create_archive(services, "Stopped")
    library.add_files(services, archive, [write_files(tmp_path / "in", FILES) / name for name in FILES])

    def reading_under_way() -> bool:
        with services.database.session() as s:
            return any(job.kind == "read" and job.done > 1024 for job in jobs.list_jobs(s))

    with worker(home, pause=0.1, every=1000.0) as process:
        wait_until(reading_under_way)
        assert saved_tokens(services, archive) == 0
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert saved_tokens(services, archive) > 1024
    with services.database.session() as s:
        job = next(job for job in jobs.list_jobs(s) if job.kind == "read")
        assert jobs.list_workers(s) == []
    assert (job.status, job.worker) == ("queued", None)


def test_a_kill_while_parsing_loses_no_document(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    services = make_services(tmp_path)
    archive = library.create_archive(services, "Parsed")
    folder = write_files(tmp_path / "in", {f"f{number}.txt": prose(number, 2) for number in range(30)})
    library.add_files(services, archive, [folder])

    def statuses() -> list[str]:
        with services.database.session() as s:
            return [row.status for row in documents.list_documents(s, archive.id)]

    with worker(home) as process:
        wait_until(lambda: "parsed" in statuses() or "ready" in statuses())
        process.send_signal(signal.SIGKILL)
        process.wait()
    with worker(home, pause=0.0):
        wait_until(lambda: statuses() == ["ready"] * 30)
