"""The Library's menus for keeping archives: what each dialog asks of the worker or changes at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_driver import labels, notices, open_page, press, words_of
from page_seeds import Seeds
from streamlit.testing.v1 import AppTest

from app import library
from app.view.frame import services
from storage import Archive, archives, documents, jobs, tags, trash


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


@pytest.fixture
def archive(seeds: Seeds) -> Archive:
    made = seeds.archive("Leases <b>")
    for name in ("a.txt", "b.txt", "c.txt"):
        seeds.text(made, name, f"Text of {name}.\n")
    return made


def asked(seeds: Seeds, kind: str) -> list[dict[str, object]]:
    with seeds.database.session() as s:
        return [dict(job.payload) for job in jobs.list_jobs(s) if job.kind == kind]


def select(page: AppTest, archive: Archive, *rows: int) -> AppTest:
    page.session_state[f"documents_{archive.id}"] = {"selection": {"rows": list(rows), "columns": []}}
    return page.run()


def test_description_and_tags_are_shown_and_changed(seeds: Seeds, archive: Archive) -> None:
    page = press(open_page("library"), "Description and tags…")
    page.text_area(key="about_text").set_value("All <i>leases</i>.")
    page.text_input(key="about_tags").set_value("law, 2024, Law")
    press(page, "Save")
    with seeds.database.session() as s:
        assert archives.get_archive(s, archive.id).description == "All <i>leases</i>."
        assert tags.archive_tags(s) == {archive.id: ["law", "2024"]}
    assert "All <i>leases</i>. #law #2024" in words_of(open_page("library"))


def test_a_backup_goes_to_a_new_file(seeds: Seeds, archive: Archive, tmp_path: Path) -> None:
    page = press(open_page("library"), "Back up…")
    assert page.text_input(key="backup_file").value.endswith("Leases -b-.engram.zip")
    page.text_input(key="backup_file").set_value("/nowhere/at/all.zip")
    page = press(page, "Back up")
    assert "Name a new file" in notices(page)
    page.text_input(key="backup_file").set_value(str(tmp_path / "x.zip"))
    press(page, "Back up")
    assert asked(seeds, "backup") == [{"file": str(tmp_path / "x.zip")}]


def test_a_backup_is_restored_by_the_worker(seeds: Seeds) -> None:
    page = press(open_page("library"), "Restore a backup")
    page.text_input(key="restore_file").set_value("/home/me/x.zip")
    press(page, "Restore")
    assert asked(seeds, "restore") == [{"file": "/home/me/x.zip"}]


def test_reading_again_and_comparing_are_jobs(seeds: Seeds, archive: Archive) -> None:
    press(press(open_page("library"), "Read again…"), "Read again")
    press(open_page("library"), "Find near duplicates")
    assert asked(seeds, "read") == [{"again": True}]
    assert asked(seeds, "duplicates") == [{}]


def test_disk_use_is_told(archive: Archive) -> None:
    said = words_of(press(open_page("library"), "Disk use…"))
    assert "Originals" in said
    assert "Free on the disk" in said


def test_selected_documents_are_tagged_moved_and_parsed_again(seeds: Seeds, archive: Archive) -> None:
    page = press(select(open_page("library"), archive, 2), "Move…")
    page.number_input(key="move_to").set_value(1)
    press(page, "Move")
    with seeds.database.session() as s:
        assert [row.name for row in documents.reading_order(s, archive.id)] == ["c.txt", "a.txt", "b.txt"]
    assert list(page.run().dataframe[0].value["Document"]) == ["c.txt", "a.txt", "b.txt"]
    page = press(select(open_page("library"), archive, 0, 1), "Tags…")
    page.text_input(key="tags_words").set_value("signed")
    press(page, "Save")
    with seeds.database.session() as s:
        assert list(tags.document_tags(s, archive.id).values()) == [["signed"], ["signed"]]
    page = select(open_page("library"), archive, 0)
    assert list(page.dataframe[0].value["Tags"]) == ["signed", "signed", ""]
    assert "New version…" in labels(page)
    press(page, "Parse again")
    with seeds.database.session() as s:
        found = documents.list_documents(s, archive.id)
    assert [row.name for row in found if row.status == "queued"] == ["c.txt"]


def test_what_was_deleted_or_removed_can_be_brought_back(seeds: Seeds, archive: Archive) -> None:
    other = seeds.archive("Gone")
    library.delete_archive(services(), other.id)
    with seeds.database.session() as s:
        first = documents.list_documents(s, archive.id)[0]
        documents.remove_document(s, first.id)
        trash.note_removed(s, archive.id, {"name": "a.txt", "sha256": first.sha256, "bytes": 1})
    page = open_page("library")
    assert "Bring back 1 removed document" in labels(page)
    press(page, "Bring back Gone")
    assert page.session_state["archive_id"] == other.id
    with seeds.database.session() as s:
        assert [row.name for row in archives.list_archives(s)] == ["Leases <b>", "Gone"]


def test_near_duplicates_are_listed(seeds: Seeds, archive: Archive) -> None:
    with seeds.database.session() as s:
        one, other, _ = documents.list_documents(s, archive.id)
        job = jobs.enqueue(s, "duplicates", archive.id, {})
        jobs.claim_job(s, job.id, "w")
        pair = {"one": one.id, "other": other.id, "alike": 0.93}
        jobs.finish(s, job.id, {"documents": 3, "pairs": [pair], "count": 1})
    assert "93.0 % alike: a.txt and b.txt" in words_of(open_page("library"))


def test_the_memory_that_reading_takes_is_told_before(seeds: Seeds, archive: Archive) -> None:
    plan = {"weights": 10**8, "state": 10**8, "working": 10**8, "growth_per_token": 0}
    with seeds.database.session() as s:
        jobs.beat_worker(s, "w", plan=plan)
    assert "tokens takes 0.30 GB of memory, at any length" in words_of(open_page("library"))
    with seeds.database.session() as s:
        jobs.beat_worker(s, "w", plan=plan | {"growth_per_token": 10**13})
    assert "Too long for this model" in notices(open_page("library"))


def test_the_sample_of_one_field_is_an_archive_of_its_own(seeds: Seeds, archive: Archive) -> None:
    press(open_page("library"), "Load the legal sample")
    with seeds.database.session() as s:
        made = archives.get_archive(s, "Sample: legal")
        (job,) = jobs.list_jobs(s, made.id)
    assert [Path(path).name for path in job.payload["paths"]] == ["legal"]
