"""Saved states: cut back, passed over, thinned, and never lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from app_home import by_name, fill, make_services, prose, tiny_engine, write_files
from reading_home import FILES, files_of, last_job, newest_state, read_at_once, read_once, same, whole_context

from app import library, reading
from app.chain import Plan
from app.services import Services
from app.tidying import tidy
from app.worker import Worker
from engine import ContextState
from storage import checkpoints, jobs, passages


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


def test_removing_a_document_reads_again_from_the_state_before_it(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(reading, "DOCUMENT_CHECKPOINT_S", 0.0)
    archive = fill(services, tmp_path / "in", FILES)
    third = by_name(services, archive)["d2.txt"]
    with services.database.session() as s:
        start = Plan.load(s, archive.id).entries[2].start
    library.remove_document(services, third.id)
    Worker(services).run_until_idle()
    result = last_job(services, "read").result
    assert result is not None
    assert 0 < result["resumed_at"] <= start
    ids = whole_context(services, archive)
    state = newest_state(services, archive)
    assert state.tokens_read == len(ids)
    for name, tensor in read_at_once(ids).tensors().items():
        torch.testing.assert_close(state.tensors()[name], tensor, rtol=2e-2, atol=2e-2)
    assert services.files.path(third.sha256).exists()  # until a restart it can be brought back
    tidy(services)
    assert not services.files.path(third.sha256).exists()


def test_removing_everything_leaves_no_state(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", {"a.txt": "Some text."})
    library.remove_document(services, by_name(services, archive)["a.txt"].id)
    Worker(services).run_until_idle()
    assert last_job(services, "read").status == "done"
    assert files_of(services, archive) == set()


def test_a_full_disk_keeps_the_older_state_and_says_what_to_do(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = fill(services, tmp_path / "in", FILES)
    before, files = newest_state(services, archive), files_of(services, archive)
    library.add_files(services, archive, [write_files(tmp_path / "x", {"e.txt": prose(9, 8)}) / "e.txt"])

    def full(self: ContextState, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(ContextState, "save", full)
        Worker(services).run_until_idle()
    job = last_job(services, "read")
    assert job.status == "failed"
    assert "disk is full" in job.error
    assert "Free space" in job.hint
    assert files_of(services, archive) == files
    assert same(newest_state(services, archive), before)
    library.resume(services, archive)
    Worker(services).run_until_idle()
    assert newest_state(services, archive).tokens_read == len(whole_context(services, archive))


def test_a_damaged_state_is_passed_over(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHECKPOINT_S", 0.0)
    archive = fill(services, tmp_path / "in", FILES)
    newest = max(services.home.states.glob(f"{archive.id}/*.state"), key=lambda path: path.name)
    newest.write_bytes(newest.read_bytes()[:1000])
    assert 0 < newest_state(services, archive).tokens_read < len(whole_context(services, archive))
    library.resume(services, archive)
    Worker(services).run_until_idle()
    assert newest_state(services, archive).tokens_read == len(whole_context(services, archive))


def test_the_ladder_stays_short_and_leaves_no_stray_files(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHECKPOINT_S", 0.0)
    archive = library.create_archive(services, "Archive")
    stray = services.home.states / str(archive.id) / ".x.state.123.tmp"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"half a state")
    library.add_files(services, archive, [write_files(tmp_path / "in", {"a.txt": prose(1, 80)})])
    Worker(services).run_until_idle()
    with services.database.session() as s:
        rungs = checkpoints.list_checkpoints(s, archive.id)
    assert 2 <= len(rungs) <= 12
    assert {Path(rung.file).name for rung in rungs} == files_of(services, archive)


def test_documents_read_after_the_last_checkpoint_are_unread_after_a_crash(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SHOW_S", 0.0)
    archive = library.create_archive(services, "Archive")
    library.add_files(services, archive, [write_files(tmp_path / "in", FILES)])

    def crash(tokens: int) -> None:
        if tokens >= 4096:
            raise RuntimeError("power cut")

    read_once(services, monkeypatch, crash)
    assert "ready" in {row.status for row in by_name(services, archive).values()}
    library.resume(services, archive)
    first: list[set[str]] = []

    def look(tokens: int) -> None:
        if not first:
            first.append({row.status for row in by_name(services, archive).values()})

    monkeypatch.setattr(reading, "SHOW_S", 100.0)
    read_once(services, monkeypatch, look)
    assert first == [{"parsed"}]
    assert {row.status for row in by_name(services, archive).values()} == {"ready"}


def test_a_job_taken_by_another_worker_writes_no_checkpoint(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.task.SHOW_S", 0.0)
    archive = library.create_archive(services, "Archive")
    library.add_files(services, archive, [write_files(tmp_path / "in", FILES)])

    def take_over(tokens: int) -> None:
        if tokens == 2048:
            with services.database.session() as s:
                job = next(job for job in jobs.list_jobs(s) if job.kind == "read")
                job.worker = "another"

    read_once(services, monkeypatch, take_over)
    assert last_job(services, "read").worker == "another"
    assert last_job(services, "read").status == "running"
    assert files_of(services, archive) == set()


def test_codes_of_a_reading_with_stops_equal_those_without(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = library.create_archive(services, "Archive")
    library.add_files(services, archive, [write_files(tmp_path / "in", FILES)])

    def fail_twice(tokens: int) -> None:
        if tokens in (1024, 3072) and tokens not in failed:
            failed.append(tokens)
            raise RuntimeError("power cut")

    failed: list[int] = []
    for _ in range(3):
        read_once(services, monkeypatch, fail_twice)
        library.resume(services, archive)
    Worker(services).run_until_idle()
    assert failed == [1024, 3072]
    with services.database.session() as s:
        stopped = passages.load_codes(s, archive.id, tiny_engine().fingerprint)[1]
    other = fill(services, tmp_path / "in", FILES, "Other")
    with services.database.session() as s:
        whole = passages.load_codes(s, other.id, tiny_engine().fingerprint)[1]
    assert (stopped == whole).all()
    assert same(newest_state(services, archive), newest_state(services, other))
