"""States that a page can be in and its own tests leave out: empty, busy, failed, and a broken database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from page_driver import labels, notices, open_page, press, words_of
from page_seeds import Seeds
from streamlit.testing.v1 import AppTest

from app.request import COMPARISON, EVERYTHING, Request
from app.spiking import submit
from storage import Archive, CellData, Job, QuestionData, findings, jobs, matrices, settings

PAGES = ("library", "ask", "matrix", "findings", "spikes", "machine", "help")


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


@pytest.fixture
def archive(seeds: Seeds) -> Archive:
    return seeds.archive()


@pytest.mark.parametrize("name", PAGES)
def test_a_locked_or_damaged_database_is_told_in_words_on_every_page(seeds: Seeds, name: str) -> None:
    seeds.database.close()
    (seeds.home.path / "engram.db").write_bytes(b"this is not a database" * 100)
    page = open_page(name)
    assert not page.exception
    assert "database" in notices(page)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_while_the_worker_is_at_work(seeds: Seeds, archive: Archive, name: str) -> None:
    seeds.worker()
    seeds.lease(archive)
    seeds.job(archive, done=1204, total=5678, unit="tokens", message="reading a.txt")
    page = open_page(name)
    assert not page.exception
    assert notices(page) == ""
    assert "Worker running" in words_of(page)


def test_a_library_whose_work_waits_for_the_worker_says_so(seeds: Seeds, archive: Archive) -> None:
    with seeds.database.session() as s:
        jobs.enqueue(s, "read", archive.id, {})
    page = open_page("library")
    assert "Reading: waiting for its turn" in words_of(page)
    assert "This waits until the worker runs" in notices(page)


@pytest.mark.parametrize("name", ["ask", "matrix"])
def test_an_archive_without_documents_leads_to_the_library(archive: Archive, name: str) -> None:
    page = open_page(name)
    assert not page.exception
    assert "This archive holds no documents yet. Add documents first" in words_of(page)
    assert labels(page) == ["Go to the Library"]


@pytest.mark.parametrize("name", ["ask", "matrix"])
def test_documents_that_are_still_coming_in_can_be_asked_already(
    seeds: Seeds, archive: Archive, name: str
) -> None:
    seeds.job(archive, "ingest")
    page = open_page(name)
    assert "Go to the Library" not in labels(page)
    assert page.chat_input or page.text_area


@pytest.mark.parametrize("kind", [EVERYTHING, COMPARISON])
def test_a_list_and_a_comparison_say_that_they_are_worked_on(
    seeds: Seeds, archive: Archive, kind: str
) -> None:
    with seeds.database.session() as s:
        job = jobs.enqueue(s, "ask", archive.id, {}, 10)
        details = Request("notice", kind).details()
        finding = findings.create_finding(s, archive.id, job.id, "notice", (), None, details)
    page = open_page("ask", finding=finding.id)
    assert "working on it" in words_of(page)
    assert "Waiting for the worker" in page.caption[0].value
    press(page, "Stop")
    with seeds.database.session() as s:
        assert findings.get_finding(s, finding.id).status == "cancelled"


def test_a_failed_cell_says_why_and_can_be_asked_again(seeds: Seeds, archive: Archive) -> None:
    seeds.lease(archive)
    with seeds.database.session() as s:
        made = matrices.create_matrix(s, archive.id, "Leases", [QuestionData("What is the rent?", "Rent")])
        (cell,) = matrices.pending_cells(s, made.id)
        failed = CellData("failed", error="The text could <b>not</b> be read.")
        matrices.store_cells(s, [(cell.id, failed)], {"model": "tiny", "fingerprint": "f", "device": "cpu"})
    page = open_page("matrix", cell=cell.id)
    assert not page.exception
    assert page.dataframe[0].value["Rent"][0] == "✕ failed"
    assert "The text could" in notices(page)
    assert "<b>" not in notices(page).replace("\\<", "")
    press(page, "Ask again")
    with seeds.database.session() as s:
        assert matrices.get_cell(s, cell.id).status == "pending"


def open_finding(seeds: Seeds, archive: Archive, status: str, answer: str = "", **fields: object) -> AppTest:
    """The Findings page with such a finding unfolded."""
    finding = seeds.finding(archive, status, answer, **({"run": {}, "context": {}} | fields))
    page = open_page("findings").button(key=f"look_{finding.id}").click().run()
    assert not page.exception
    return page


def test_a_finding_under_way_shows_its_draft_and_is_no_export(seeds: Seeds, archive: Archive) -> None:
    page = open_finding(seeds, archive, "running", "The notice per")
    said = words_of(page)
    for words in ("The notice per", "still to be checked", "answering"):
        assert words in said
    assert "not available" not in said
    assert not page.get("download_button")


@pytest.mark.parametrize(
    ("status", "says"),
    [("failed", "The disk is full"), ("cancelled", "Stopped before"), ("not_found", "Nothing that was read")],
)
def test_a_finding_without_an_answer_says_why(seeds: Seeds, archive: Archive, status: str, says: str) -> None:
    page = open_finding(seeds, archive, status, error="The disk is full.")
    assert says in words_of(page) + notices(page)
    assert "not available" not in words_of(page)


def spikes_of(page: AppTest, kind: str) -> AppTest:
    page.session_state["spikes_of"] = kind
    return page.run()


def test_spikes_of_an_archive_that_nothing_was_read_of(archive: Archive) -> None:
    page = open_page("spikes")
    assert "The worker is not running" in notices(page)
    assert not page.button[0].disabled
    assert "Nothing of this archive has been read yet" in words_of(spikes_of(page, "Passage"))
    assert page.button[0].disabled
    assert "No question has been asked of this archive yet" in words_of(spikes_of(page, "Question"))
    assert page.button[0].disabled


def spikes_job(seeds: Seeds) -> Job:
    with seeds.database.session() as s:
        job = submit(s, "The dose was 5 mg.", "Own text")
        jobs.claim_job(s, job.id, "tester")
        jobs.beat(s, job.id, message="firing layer 3")
        return job


def test_spikes_under_way_say_how_far_they_are(seeds: Seeds) -> None:
    page = open_page("spikes", spikes=spikes_job(seeds).id)
    assert not page.exception
    assert [caption.value for caption in page.caption] == ["Firing layer 3…"]


def test_spikes_that_failed_say_what_to_do(seeds: Seeds) -> None:
    job = spikes_job(seeds)
    with seeds.database.session() as s:
        jobs.fail(s, job.id, "The model <b>broke</b>.", "Mend it.")
    page = open_page("spikes", spikes=job.id)
    assert not page.exception
    assert "Working out spikes stopped." in notices(page)
    assert "Mend it." in notices(page).replace("\\", "")


def test_a_worker_that_died_is_told_from_one_that_runs(seeds: Seeds) -> None:
    long_ago = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    with seeds.database.session() as s:
        settings.set_setting(s, "worker:w", {"heartbeat_at": long_ago, "info": {"model": "default"}})
    page = open_page("machine")
    assert not page.exception
    assert "stopped without a word" in words_of(page)
    assert "The worker is not running" in notices(page)


def test_help_reads_the_same_before_there_is_anything(seeds: Seeds) -> None:
    page = open_page("help")
    assert not page.exception
    assert "Privacy" in page.markdown[0].value
    assert "Worker not running" in words_of(page)


def test_restoring_into_a_fresh_home_shows_how_far_it_is_and_opens_what_came(seeds: Seeds) -> None:
    page = press(open_page("library"), "Restore a backup")
    page.text_input(key="restore_file").set_value("/backups/leases.engram.zip")
    page = press(page, "Restore")
    with seeds.database.session() as s:
        (job,) = jobs.list_jobs(s)
        jobs.claim_job(s, job.id, "tester")
        jobs.beat(s, job.id, done=3, total=12, unit="documents", message="restoring lease.md")
    said = words_of(page.run())
    assert "Restoring lease.md 3 of 12 documents" in said
    others = [seeds.archive(name) for name in ("Leases", "Newer")]
    with seeds.database.session() as s:
        jobs.finish(s, job.id, {"archive_id": others[0].id, "archive": "Leases", "documents": 12})
    page = page.run()
    assert not page.exception
    assert page.selectbox[0].value == others[0].id
    assert [toast.value for toast in page.toast] == ["Restored as Leases"]


def test_a_backup_that_cannot_be_restored_is_told_on_the_first_visit(seeds: Seeds) -> None:
    with seeds.database.session() as s:
        job = jobs.enqueue(s, "restore", None, {"file": "/no/such.zip"})
        jobs.claim_job(s, job.id, "tester")
        jobs.fail(s, job.id, "There is no such file.", "Check the path.")
    page = open_page("library")
    assert not page.exception
    assert "Restoring stopped." in notices(page)
    assert "Check the path" in notices(page).replace("\\", "")
