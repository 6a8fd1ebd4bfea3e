"""Adding files: stored once, parsed one by one, each with its end, and nothing stops the rest."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from app_home import by_name, fill, make_services, prose, write_files

from app import ingesting, library, parsing
from app.errors import JobCancelledError, UserError
from app.services import Services
from app.worker import PARSING, Worker
from storage import Archive, DiskFullError, Job, documents, jobs, passages
from storage.ingest import ParseFailure


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


@pytest.fixture
def archive(services: Services) -> Archive:
    return library.create_archive(services, "Archive")


def newest(services: Services, archive: Archive, kind: str) -> Job:
    with services.database.session() as s:
        return next(job for job in jobs.list_jobs(s, archive.id) if job.kind == kind)


def zipped(files: dict[str, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    out.seek(0)
    return out


def test_a_folder_becomes_documents_that_are_read(
    services: Services, tmp_path: Path, archive: Archive
) -> None:
    folder = write_files(tmp_path / "papers", {"a.txt": "First text.", "sub/b.md": "# Second\n\nText."})
    library.add_files(services, archive, [folder])
    Worker(services).run_until_idle()
    found = by_name(services, archive)
    assert {name: row.status for name, row in found.items()} == {
        "papers/a.txt": "ready",
        "papers/sub/b.md": "ready",
    }
    assert services.files.path(found["papers/a.txt"].sha256).read_text() == "First text."


def test_one_bad_file_does_not_stop_the_rest(services: Services, tmp_path: Path, archive: Archive) -> None:
    folder = write_files(tmp_path / "in", {"empty.txt": "", "not.pdf": "no pdf", "good.txt": "Good text."})
    library.add_files(services, archive, [folder])
    Worker(services).run_until_idle()
    found = by_name(services, archive)
    statuses = {name: row.status for name, row in found.items()}
    assert statuses == {"in/empty.txt": "failed", "in/good.txt": "ready", "in/not.pdf": "failed"}
    assert "empty" in found["in/empty.txt"].error
    result = newest(services, archive, "ingest").result
    assert result is not None
    assert {item["name"] for item in result["failed"]} == {"in/empty.txt", "in/not.pdf"}


def test_the_same_content_is_stored_once_and_said_so(
    services: Services, tmp_path: Path, archive: Archive
) -> None:
    folder = write_files(tmp_path / "in", {"a.txt": "Same words.", "b.txt": "Same words."})
    library.add_files(services, archive, [folder])
    Worker(services).run_until_idle()
    assert list(by_name(services, archive)) == ["in/a.txt"]
    result = newest(services, archive, "ingest").result
    assert result is not None
    assert result["duplicates"] == [{"name": "in/b.txt", "same_as": "in/a.txt"}]
    added = library.add_upload(services, archive, "c.txt", io.BytesIO(b"Same words."))
    assert added.same_as == "in/a.txt"


def test_adding_a_folder_again_changes_nothing(services: Services, tmp_path: Path, archive: Archive) -> None:
    folder = write_files(tmp_path / "in", {"a.txt": "Words."})
    for _ in range(2):
        library.add_files(services, archive, [folder])
        Worker(services).run_until_idle()
    result = newest(services, archive, "ingest").result
    assert result is not None
    assert (result["added"], result["unchanged"], result["duplicates"]) == (0, 1, [])


def test_another_content_under_a_taken_name_gets_a_number(services: Services, archive: Archive) -> None:
    for text in (b"first", b"second", b"third"):
        library.add_upload(services, archive, "report.txt", io.BytesIO(text))
    assert list(by_name(services, archive)) == ["report.txt", "report (2).txt", "report (3).txt"]


def test_an_upload_is_stored_before_the_call_returns(services: Services, archive: Archive) -> None:
    added = library.add_upload(services, archive, "../../etc/<b>x</b>.txt", io.BytesIO(b"text"))
    assert added.name == "etc/<b>x</b>.txt"
    row = by_name(services, archive)[added.name]
    assert row.status == "queued"
    assert services.files.path(row.sha256).read_bytes() == b"text"
    assert newest(services, archive, "ingest").status == "queued"


def test_an_uploaded_zip_gives_its_members_and_is_not_kept(services: Services, archive: Archive) -> None:
    stream = zipped({"x/one.txt": b"One text.", "two.md": b"Two."})
    library.add_upload(services, archive, "both.zip", stream)
    Worker(services).run_until_idle()
    found = by_name(services, archive)
    assert {name: row.status for name, row in found.items()} == {
        "both.zip/x/one.txt": "ready",
        "both.zip/two.md": "ready",
    }
    stored = [path.name for path in services.home.files.glob("??/*")]
    assert sorted(stored) == sorted(row.sha256 for row in found.values())


def test_a_broken_zip_is_a_failed_document(services: Services, archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "cut.zip"
    path.write_bytes(zipped({"a.txt": b"text" * 500}).getvalue()[:60])
    library.add_files(services, archive, [path])
    Worker(services).run_until_idle()
    assert by_name(services, archive)["cut.zip"].status == "failed"


def test_an_unreadable_file_shows_up_failed_and_goes_when_it_is_readable(
    services: Services, archive: Archive, tmp_path: Path
) -> None:
    link = tmp_path / "in" / "a.txt"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    library.add_files(services, archive, [link.parent])
    Worker(services).run_until_idle()
    assert by_name(services, archive)["in/a.txt"].status == "failed"
    link.unlink()
    link.write_text("Now there.")
    library.add_files(services, archive, [link.parent])
    Worker(services).run_until_idle()
    assert {name: row.status for name, row in by_name(services, archive).items()} == {"in/a.txt": "ready"}


def test_a_path_that_is_not_there_is_refused_at_once(services: Services, archive: Archive) -> None:
    with pytest.raises(UserError, match="no file or folder"):
        library.add_files(services, archive, ["/no/such/place"])


def test_documents_left_in_parsing_are_taken_up_again(services: Services, archive: Archive) -> None:
    added = library.add_upload(services, archive, "a.txt", io.BytesIO(b"Some text."))
    assert added.document_id is not None
    with services.database.session() as s:
        documents.set_status(s, added.document_id, "parsing")
        for job in jobs.list_jobs(s):
            jobs.cancel(s, job.id)
    worker = Worker(services)
    worker._take_over()
    worker.run_until_idle()
    assert by_name(services, archive)["a.txt"].status == "ready"


def test_a_failed_document_can_be_tried_again(services: Services, archive: Archive) -> None:
    added = library.add_upload(services, archive, "a.txt", io.BytesIO(b"Some text."))
    assert added.document_id is not None
    with services.database.session() as s:
        documents.fail_document(s, added.document_id, "failed", "It broke.")
    library.retry(services, archive, [added.document_id])
    Worker(services).run_until_idle()
    row = by_name(services, archive)["a.txt"]
    assert (row.status, row.error) == ("ready", "")


def test_a_full_disk_fails_the_job_and_the_next_one_goes_on(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add_upload(services, archive, "a.txt", io.BytesIO(b"Some text."))
    with monkeypatch.context() as patched:

        def full(*args: Any) -> None:
            raise DiskFullError("disk_full", "The disk is full.", "Free some space.")

        patched.setattr(ingesting.documents, "store_parsed", full)
        Worker(services).run_until_idle()
    job = newest(services, archive, "ingest")
    assert (job.status, job.error, job.hint) == ("failed", "The disk is full.", "Free some space.")
    library.resume(services, archive)
    Worker(services).run_until_idle()
    assert by_name(services, archive)["a.txt"].status == "ready"


def test_stored_passages_tile_the_stored_text(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", {"a.txt": prose(1, 30)})
    row = by_name(services, archive)["a.txt"]
    with services.database.session() as s:
        spans = passages.list_passages(s, row.id)
        text = documents.document_text(s, row.id)
    assert [span.start for span in spans[1:]] == [span.end for span in spans[:-1]]
    assert (spans[0].start, spans[-1].end, spans[-1].token_end) == (0, len(text), row.tokens)


def test_a_document_text_never_becomes_a_control_token(services: Services, tmp_path: Path) -> None:
    archive = fill(services, tmp_path / "in", {"a.txt": "Before <|im_end|><|endoftext|> after."})
    row = by_name(services, archive)["a.txt"]
    with services.database.session() as s:
        ids = services.tokenizer.encode(documents.document_text(s, row.id))
    assert not set(ids) & services.tokenizer.special_ids


def test_reading_is_asked_for_before_the_last_file_is_parsed(
    services: Services, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed_at_request: list[int] = []
    asked = library.request_reading

    def request(s: Any, archive_id: int) -> Job:
        rows = documents.list_documents(s, archive_id)
        parsed_at_request.append(sum(row.status == "parsed" for row in rows))
        return asked(s, archive_id)

    monkeypatch.setattr(ingesting.library, "request_reading", request)
    folder = write_files(tmp_path / "in", {f"{n}.txt": f"Text number {n}." for n in range(4)})
    library.add_files(services, archive, [folder])
    Worker(services).run_until_idle()
    assert (parsed_at_request[0], parsed_at_request[-1]) == (1, 4)


def test_a_worker_parses_in_a_lane_of_its_own(services: Services, archive: Archive) -> None:
    library.add_upload(services, archive, "a.txt", io.BytesIO(b"Some text."))
    worker = Worker(services)
    assert not worker._step(without=PARSING)
    lane = threading.Thread(target=worker._work_on, args=(("ingest",), 0.1))
    lane.start()
    deadline = time.monotonic() + 60
    while by_name(services, archive)["a.txt"].status != "parsed" and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.stop()
    lane.join()
    assert by_name(services, archive)["a.txt"].status == "parsed"


def test_a_cancelled_ingest_ends_what_is_being_parsed(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def endless(self: Any, path: Path, name: str) -> None:
        assert ended.wait(30)
        raise ParseFailure("failed", "ended")

    def interrupt(self: Any) -> None:
        ended.set()

    monkeypatch.setattr(parsing.Parser, "parse", endless)
    monkeypatch.setattr(parsing.Parser, "interrupt", interrupt)
    for name in ("a.txt", "b.txt"):
        library.add_upload(services, archive, name, io.BytesIO(name.encode()))

    def on_wait(note: str) -> None:
        raise JobCancelledError

    with services.database.session() as s:
        waiting = documents.list_documents(s, archive.id)
    with pytest.raises(JobCancelledError):
        list(parsing.parse_ahead(services, waiting, on_wait))
    assert ended.is_set()


def test_parsing_is_measured_with_its_failures(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", {"a.txt": "one\ftwo\f", "b.txt": ""})
    rate = parsing.measure_parsing(sorted(folder.iterdir()), 1)
    assert (rate.files, rate.failed, rate.pages) == (2, 1, 2)
    assert rate.pages_per_s > 0
