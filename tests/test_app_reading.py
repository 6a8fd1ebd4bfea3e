"""Reading: one context over all documents, resumed, extended, and told while it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_home import by_name, fill, make_services, prose, tiny_engine, write_files
from reading_home import FILES, last_job, newest_state, read_at_once, read_once, same, whole_context

from app import library, reading
from app.services import Services
from app.task import Task
from app.worker import Worker
from storage import Document, Job, documents, jobs, metrics, passages, settings


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


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


def test_added_documents_are_read_on_top_of_what_was_read(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", FILES)
    before = newest_state(services, archive).tokens_read
    library.add_files(services, archive, [write_files(tmp_path / "more", {"e.txt": prose(9, 8)}) / "e.txt"])
    Worker(services).run_until_idle()
    result = last_job(services, "read").result
    assert result is not None
    assert result["resumed_at"] == before
    assert result["read_now"] == newest_state(services, archive).tokens_read - before > 0


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
