"""The Library page: first visit, empty, busy, done, failed; what its buttons do."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_driver import html_of, labels, notices, open_page, press, words_of
from page_seeds import Seeds
from streamlit.testing.v1 import AppTest

from app.view.actions import said_of
from storage import archives, documents, jobs


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


def table(page: AppTest) -> list[dict[str, object]]:
    return page.dataframe[0].value.to_dict("records")


def select_rows(page: AppTest, archive_id: int, *rows: int) -> AppTest:
    """Rows as a person would tick them; AppTest cannot click a canvas."""
    page.session_state[f"documents_{archive_id}"] = {
        "selection": {"rows": list(rows), "columns": [], "cells": []}
    }
    return page.run()


def test_first_visit_offers_the_sample_and_a_new_archive() -> None:
    page = open_page("library")
    assert not page.exception
    assert labels(page) == ["Load the sample archive", "New archive", "Restore a backup"]


def test_one_click_loads_the_sample_archive(seeds: Seeds) -> None:
    page = press(open_page("library"), "Load the sample archive")
    assert not page.exception
    with seeds.database.session() as s:
        (archive,) = archives.list_archives(s)
        (job,) = jobs.list_jobs(s, archive.id)
    assert archive.name == "Sample archive"
    assert job.kind == "ingest"
    assert [Path(path).name for path in job.payload["paths"]] == ["legal", "medical", "physics"]
    assert page.selectbox[0].value == archive.id


def test_a_second_sample_gets_a_number(seeds: Seeds) -> None:
    press(press(open_page("library"), "Load the sample archive"), "Load the sample archive")
    with seeds.database.session() as s:
        assert [archive.name for archive in archives.list_archives(s)] == [
            "Sample archive",
            "Sample archive 2",
        ]


def test_an_archive_is_made(seeds: Seeds) -> None:
    page = press(open_page("library"), "New archive")
    page.text_input(key="new_name").set_value("Contracts <2024>")
    press(page, "Create")
    with seeds.database.session() as s:
        assert [archive.name for archive in archives.list_archives(s)] == ["Contracts <2024>"]


def test_a_name_that_is_taken_is_refused_in_words(seeds: Seeds) -> None:
    seeds.archive("Contracts")
    page = press(open_page("library"), "New archive")
    page.text_input(key="new_name").set_value("contracts")
    press(page, "Create")
    assert not page.exception
    assert "exists already" in notices(page)


def test_an_archive_is_renamed(seeds: Seeds) -> None:
    archive = seeds.archive("Old")
    page = press(open_page("library"), "Rename…")
    next(field for field in page.text_input if field.value == "Old").set_value("New")
    press(page, "Rename")
    with seeds.database.session() as s:
        assert archives.get_archive(s, archive.id).name == "New"


def test_an_archive_is_deleted_only_after_confirmation(seeds: Seeds) -> None:
    archive = seeds.archive("Going")
    seeds.lease(archive)
    page = press(open_page("library"), "Delete…")
    assert any("**Going** with its 1 document" in text.value for text in page.markdown)
    with seeds.database.session() as s:
        assert archives.list_archives(s)
    press(page, "Delete archive")
    with seeds.database.session() as s:
        assert archives.list_archives(s) == []


def test_an_empty_archive_says_so(seeds: Seeds) -> None:
    seeds.archive()
    page = open_page("library")
    assert not page.exception
    assert "No documents yet." in words_of(page)
    assert len(page.dataframe) == 0


def test_the_table_says_the_state_of_each_document(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.text(archive, "read.txt", "One.\n", "Two.\n")
    seeds.text(archive, "waiting.txt", "Text.\n", status="parsed")
    seeds.text(archive, "new.txt", status="queued")
    seeds.failed(archive, "secret.pdf", "The file is encrypted.", "Save it without a password.")
    seeds.failed(archive, "scan.pdf", "All pages are images.", "Run OCR.", status="needs_ocr")
    page = open_page("library")
    states = {row["Document"]: row["State"][0] for row in table(page)}
    assert states == {
        "read.txt": "✓ read",
        "waiting.txt": "◑ parsed",
        "new.txt": "· queued",
        "secret.pdf": "✕ failed",
        "scan.pdf": "▣ needs OCR",
    }
    first = table(page)[0]
    assert (first["Pages"], first["Tokens"]) == (2, 2)
    said = words_of(page)
    assert "secret.pdf The file is encrypted. Save it without a password." in said
    assert "1 of 5 documents read. Not read:" in said


def test_when_all_is_read_it_says_so_and_leads_on(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    seeds.text(archive, "b.txt", "Text.\n")
    page = open_page("library")
    assert "All 2 documents read." in words_of(page)
    assert "tokens in the context" in words_of(page)
    assert "Ask this archive" in labels(page)


def test_reading_shows_progress_rate_and_time_left(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.text(archive, "a.txt", "Text.\n", status="reading")
    seeds.job(archive, done=1204, total=5678, unit="tokens", message="reading a.txt", rate=812.4, eta_s=5.6)
    page = open_page("library")
    said = words_of(page)
    assert "Reading a.txt 1,204 of 5,678 tokens 812 tokens/s about 6 s left" in said
    assert round(page.get("progress")[0].proto.value) == 21
    assert "Ask this archive" not in labels(page)


def test_a_running_job_can_be_cancelled(seeds: Seeds) -> None:
    archive = seeds.archive()
    job = seeds.job(archive, done=1, total=2, unit="tokens")
    page = press(open_page("library"), "Cancel")
    with seeds.database.session() as s:
        assert jobs.get_job(s, job.id).cancel_requested
    assert "Cancelling…" in labels(page)


def test_a_failed_job_says_what_to_do(seeds: Seeds) -> None:
    archive = seeds.archive()
    job = seeds.job(archive)
    with seeds.database.session() as s:
        jobs.fail(s, job.id, "The disk is full.", "Free some space, then add the files again.")
    page = open_page("library")
    assert "The disk is full" in notices(page).replace("\\", "")
    assert "Free some space" in notices(page)


def test_a_failed_document_can_be_tried_again(seeds: Seeds) -> None:
    archive = seeds.archive()
    document = seeds.failed(archive, "secret.pdf", "The file is encrypted.")
    page = press(select_rows(open_page("library"), archive.id, 0), "Try 1 again")
    assert not page.exception
    with seeds.database.session() as s:
        assert documents.get_document(s, document.id).status == "queued"
        assert jobs.list_jobs(s, archive.id)[0].kind == "ingest"


def test_a_document_is_removed_only_after_confirmation(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    page = press(select_rows(open_page("library"), archive.id, 0), "Remove")
    page = page.button(key="remove_confirmed").click().run()
    assert not page.exception
    with seeds.database.session() as s:
        assert documents.list_documents(s, archive.id) == []


def test_a_selection_does_not_pass_to_the_document_that_moves_up(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    seeds.text(archive, "kept.txt", "Text.\n")
    page = select_rows(open_page("library"), archive.id, 0)
    assert [caption.value for caption in page.caption] == ["1 selected"]
    page = press(page, "Remove").button(key="remove_confirmed").click().run()
    assert [row["Document"] for row in table(page)] == ["kept.txt"]
    assert not page.caption


def test_a_folder_is_imported(seeds: Seeds, tmp_path: Path) -> None:
    archive = seeds.archive()
    page = open_page("library")
    page.text_input(key="folder_path").set_value(str(tmp_path))
    press(page, "Import")
    with seeds.database.session() as s:
        assert jobs.list_jobs(s, archive.id)[0].payload == {"paths": [str(tmp_path)]}


@pytest.mark.parametrize(("path", "said"), [("", "Type the path"), ("/no/such/folder", "no file or folder")])
def test_a_wrong_path_is_told_in_words(seeds: Seeds, path: str, said: str) -> None:
    seeds.archive()
    page = open_page("library")
    page.text_input(key="folder_path").set_value(path)
    press(page, "Import")
    assert not page.exception
    assert said in notices(page).replace("\\", "")


def test_hostile_names_are_shown_as_they_stand(seeds: Seeds) -> None:
    evil = "<img src=x onerror=alert(1)> ![x](http://e/x.png).pdf"
    seeds.failed(seeds.archive("<script>"), evil, "<b>bad</b>", "<i>worse</i>")
    page = open_page("library")
    assert not page.exception
    assert not any(tag in html_of(page) for tag in ("<img", "<i>", "<b>bad"))
    assert evil in words_of(page)


def test_the_choice_of_archive_stands_in_the_address(seeds: Seeds) -> None:
    first = seeds.archive("First")
    seeds.archive("Second")
    page = open_page("library", archive=first.id)
    assert page.selectbox[0].value == first.id
    assert open_page("library").selectbox[0].value != first.id


def test_uploads_say_what_is_new_and_what_is_known() -> None:
    assert said_of([None]) == "1 file added"
    assert said_of([None, "a.txt", None]).replace("\\", "") == "2 files added, 1 already here: a.txt"


def test_an_upload_is_stored_and_queued(seeds: Seeds) -> None:
    archive = seeds.archive()
    page = open_page("library")
    page.file_uploader[0].set_value(
        [("a.txt", b"Some text.", "text/plain"), ("b.txt", b"Some text.", "text/plain")]
    )
    page.run()
    assert not page.exception
    with seeds.database.session() as s:
        (document,) = documents.list_documents(s, archive.id)
        assert jobs.list_jobs(s, archive.id)[0].kind == "ingest"
    assert seeds.files.path(document.sha256).read_bytes() == b"Some text."
