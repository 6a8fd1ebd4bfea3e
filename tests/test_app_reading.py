"""Reading: one context over all documents, resumed, extended, cut back, and never lost."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from app_home import by_name, fill, make_services, prose, tiny_engine, write_files

from app import library, reading
from app.chain import Plan
from app.checkpoints import Ladder
from app.services import Services
from app.task import Task
from app.worker import Worker
from engine import ContextState
from storage import Archive, Document, Job, checkpoints, documents, jobs, metrics, passages, settings

FILES = {f"d{number}.txt": prose(number, 8) for number in range(4)}


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


def newest_state(services: Services, archive: Archive) -> ContextState:
    with services.database.session() as s:
        plan = Plan.load(s, archive.id)
    return Ladder(services, archive.id).load(plan)[0]


def whole_context(services: Services, archive: Archive) -> list[int]:
    """The ids that the contract says make the context."""
    ids: list[int] = []
    with services.database.session() as s:
        for row in documents.reading_order(s, archive.id):
            text = documents.document_text(s, row.id)
            ids += [services.tokenizer.separator_id, *services.tokenizer.encode(text)]
    return ids


def read_at_once(ids: list[int]) -> ContextState:
    engine = tiny_engine()
    state = engine.new_state()
    for _ in engine.read(ids, state):
        pass
    return state


def same(one: ContextState, other: ContextState) -> bool:
    pairs = zip(one.tensors().items(), other.tensors().items(), strict=True)
    return one.tokens_read == other.tokens_read and all(
        a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs
    )


def last_job(services: Services, kind: str) -> Job:
    with services.database.session() as s:
        return next(job for job in jobs.list_jobs(s) if job.kind == kind)


def files_of(services: Services, archive: Archive) -> set[str]:
    return {path.name for path in (services.home.states / str(archive.id)).glob("*")}


def read_once(services: Services, monkeypatch: pytest.MonkeyPatch, on_chunk: Callable[[int], None]) -> None:
    """Run the queue with `on_chunk(tokens)` called after each chunk."""
    take = reading.Reader._take

    def taken(self: Any, step: Any, feed: Any) -> None:
        take(self, step, feed)
        on_chunk(step.tokens_read)

    with monkeypatch.context() as patched:
        patched.setattr(reading.Reader, "_take", taken)
        Worker(services).run_until_idle()


def test_the_saved_state_is_that_of_the_whole_context_read_at_once(
    services: Services, tmp_path: Path
) -> None:
    archive = fill(services, tmp_path / "in", FILES)
    ids = whole_context(services, archive)
    state = newest_state(services, archive)
    assert state.tokens_read == len(ids) > 2048
    assert same(state, read_at_once(ids))


def test_every_passage_gets_its_code_and_every_document_is_ready(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", FILES)
    assert {row.status for row in by_name(services, archive).values()} == {"ready"}
    with services.database.session() as s:
        ids, codes = passages.load_codes(s, archive.id, tiny_engine().fingerprint)
        count = sum(len(passages.list_passages(s, row.id)) for row in documents.list_documents(s, archive.id))
    assert len(ids) == count == len(codes)
    assert len({code.tobytes() for code in codes}) == count


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


def test_added_documents_are_read_on_top_of_what_was_read(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", FILES)
    before = newest_state(services, archive).tokens_read
    library.add_files(services, archive, [write_files(tmp_path / "more", {"e.txt": prose(9, 8)}) / "e.txt"])
    Worker(services).run_until_idle()
    result = last_job(services, "read").result
    assert result is not None
    assert result["resumed_at"] == before
    assert result["read_now"] == newest_state(services, archive).tokens_read - before > 0


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
    assert not services.files.path(third.sha256).exists()


def test_removing_everything_leaves_no_state(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", {"a.txt": "Some text."})
    library.remove_document(services, by_name(services, archive)["a.txt"].id)
    Worker(services).run_until_idle()
    assert last_job(services, "read").status == "done"
    assert files_of(services, archive) == set()


def test_a_document_removed_while_it_is_read_is_left_out(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOOK_S", 0.0)
    monkeypatch.setattr(reading, "SHOW_S", 0.0)
    archive = library.create_archive(services, "Archive")
    library.add_files(services, archive, [write_files(tmp_path / "in", FILES)])

    def remove(tokens: int) -> None:
        row = by_name(services, archive).get("in/d1.txt")
        if row is not None and row.status == "reading":
            library.remove_document(services, row.id)

    read_once(services, monkeypatch, remove)
    names = set(by_name(services, archive))
    assert names == {"in/d0.txt", "in/d2.txt", "in/d3.txt"}
    assert newest_state(services, archive).tokens_read == len(whole_context(services, archive))


def test_a_document_added_while_another_is_read_is_read_too(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = fill(services, tmp_path / "in", FILES)
    extra = write_files(tmp_path / "x", {"late.txt": prose(11, 6), "later.txt": prose(12, 6)})
    library.add_files(services, archive, [extra / "late.txt"])
    asked: list[int] = []

    def add(tokens: int) -> None:
        if not asked:
            asked.append(tokens)
            library.add_files(services, archive, [extra / "later.txt"])

    read_once(services, monkeypatch, add)
    assert by_name(services, archive)["later.txt"].status == "ready"
    assert same(newest_state(services, archive), newest_state(services, archive))
    assert newest_state(services, archive).tokens_read == len(whole_context(services, archive))


def test_cancelling_keeps_what_was_read(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = library.create_archive(services, "Archive")
    library.add_files(services, archive, [write_files(tmp_path / "in", FILES)])
    monkeypatch.setattr("app.task.SHOW_S", 0.0)

    def cancel(tokens: int) -> None:
        if tokens == 2048:
            library.cancel(services, last_job(services, "read").id)

    read_once(services, monkeypatch, cancel)
    assert last_job(services, "read").status == "cancelled"
    kept = newest_state(services, archive).tokens_read
    assert kept >= 2048
    library.resume(services, archive)
    Worker(services).run_until_idle()
    result = last_job(services, "read").result
    assert result is not None
    assert result["resumed_at"] == kept


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
    assert not newest.exists()
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


def test_another_tokenizer_has_every_count_made_again(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", {"a.txt": prose(1, 4)})
    row = by_name(services, archive)["a.txt"]
    with services.database.session() as s:
        settings.set_setting(s, f"tokenizer:{archive.id}", "another")
        stored = s.get(Document, row.id)
        assert stored is not None
        stored.tokens = 7
        for span in passages.list_passages(s, row.id):
            span.token_start = span.token_end = 0
    library.resume(services, archive)
    Worker(services).run_until_idle()
    assert by_name(services, archive)["a.txt"].tokens == row.tokens
    with services.database.session() as s:
        assert passages.list_passages(s, row.id)[-1].token_end == row.tokens


def test_a_wrong_count_is_noticed_and_mended(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", {"a.txt": prose(1, 4)})
    row = by_name(services, archive)["a.txt"]
    with services.database.session() as s:
        stored = s.get(Document, row.id)
        assert stored is not None
        stored.tokens = row.tokens + 5
    library.resume(services, archive)
    Worker(services).run_until_idle()
    assert last_job(services, "read").status == "done"
    assert by_name(services, archive)["a.txt"].tokens == row.tokens


def test_progress_tells_tokens_rate_and_time_left(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.task.SHOW_S", 0.0)
    archive = library.create_archive(services, "Archive")
    library.add_files(services, archive, [write_files(tmp_path / "in", FILES)])
    seen: list[Job] = []
    read_once(services, monkeypatch, lambda tokens: seen.append(last_job(services, "read")))
    shown = [job for job in seen if job.done]
    assert [job.done for job in shown] == sorted(job.done for job in shown)
    assert shown[-1].total == len(whole_context(services, archive))
    assert shown[-1].unit == "tokens"
    assert shown[-1].rate
    assert shown[-1].eta_s is not None
    assert shown[-1].message.startswith("reading in/d")


def test_each_stretch_of_reading_leaves_its_numbers(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", FILES)
    with services.database.session() as s:
        found = metrics.list_metrics(s, "read", archive.id)
    assert sum(metric.values["tokens"] for metric in found) == len(whole_context(services, archive))
    assert found[0].values["read_tokens_per_s"] > 0
    assert "power_source" in found[0].values
    assert found[0].values["spikes_per_channel"] > 0


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


def test_a_task_that_was_told_to_stop_says_so(services: Services) -> None:
    with services.database.session() as s:
        job = jobs.enqueue(s, "read", None, {})
        jobs.claim_job(s, job.id, "me")
    with Task(services, job, "me") as task:
        assert not task.asked_to_end
        with services.database.session() as s:
            jobs.cancel(s, job.id)
        task.progress(1, 2, "tokens", at_once=True)
        assert task.asked_to_end
