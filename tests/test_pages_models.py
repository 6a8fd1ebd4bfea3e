"""The models on the Engine page: first seen, checked, being added, failed, changed, gone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from app_home import make_home, tiny_model
from page_driver import labels, notices, open_page, press, words_of
from page_seeds import Seeds
from streamlit.testing.v1 import AppTest

from app.installed import link_model, make_default, model_names, note_origin, staging_folder
from app.model_reports import Report, save_report
from storage import jobs

PLAN = {"weights": 15_000_000_000, "state": 0, "growth_per_token": 100_000, "working": 700_000_000}
FOUND = {
    "family": "llama",
    "description": "llama: 7000 M <b>parameters</b>",
    "files": 2,
    "file_bytes": 15_000_000_000,
    "problems": [],
    "notes": ["It has no recall head: passages are found by their words alone."],
    "plan": PLAN,
    "fingerprint": "f" * 64,
    "recall": False,
}


@pytest.fixture
def seeds(tmp_path: Path) -> Seeds:
    """A home with the tiny model as default and another, linked."""
    made = Seeds(make_home(tmp_path))
    link_model(made.home, "other", tiny_model(), {"source": "hf:lab/other"})
    return made


def report(seeds: Seeds, name: str = "other", **changes: object) -> None:
    found = Report(name, "2026-01-01", {**FOUND, **changes}, None, 24_000_000_000)
    with seeds.database.session() as s:
        save_report(s, found)


def asked_of_worker(seeds: Seeds) -> list[dict[str, object]]:
    with seeds.database.session() as s:
        return [dict(job.payload) for job in jobs.list_jobs(s) if job.kind == "model"]


def add(page: AppTest, source: str) -> AppTest:
    page.text_input(key="model_source").set_value(source)
    return press(page, "Add")


def test_models_are_listed_with_where_they_come_from(seeds: Seeds) -> None:
    page = open_page("machine")
    assert not page.exception
    said = words_of(page)
    assert "default in use by default" in said
    assert "comes with Engram" in said
    assert "hf:lab/other · used in place" in said
    assert "Not checked yet." in said


def test_a_checked_model_tells_its_memory(seeds: Seeds) -> None:
    report(seeds)
    said = words_of(open_page("machine"))
    assert "llama: 7000 M <b>parameters</b>" in said
    assert "Memory: 15.7 GB (15.0 GB weights) and 100 GB more for each million tokens. Free: 24.0 GB." in said
    assert "no recall head" in said


def test_a_model_with_problems_cannot_be_made_default(seeds: Seeds) -> None:
    report(seeds, problems=["the tensor 'a' is missing"])
    page = open_page("machine")
    assert "✕ the tensor 'a' is missing" in words_of(page)
    assert next(button for button in page.button if button.label == "Make default").disabled


def test_adding_checking_and_changing_are_jobs_of_the_worker(seeds: Seeds) -> None:
    add(open_page("machine"), f" {tiny_model()} ")
    assert asked_of_worker(seeds)[0]["source"] == str(tiny_model())
    with seeds.database.session() as s:
        jobs.cancel(s, jobs.list_jobs(s)[0].id)
    press(open_page("machine"), "Check")
    assert asked_of_worker(seeds)[0] == {"do": "check", "name": "default"}
    with seeds.database.session() as s:
        jobs.cancel(s, jobs.list_jobs(s)[0].id)
    press(open_page("machine"), "Make default")
    assert asked_of_worker(seeds)[0] == {"do": "default", "name": "other"}


def test_progress_is_shown_and_can_be_cancelled(seeds: Seeds) -> None:
    with seeds.database.session() as s:
        job = jobs.enqueue(s, "model", None, {"do": "add", "source": "hf:lab/big", "name": "big"})
        jobs.claim(s, "w")
        jobs.beat(s, job.id, done=120, total=1500, unit="MB", message="fetching model.safetensors", rate=12.0)
    page = open_page("machine")
    assert "Fetching model.safetensors 120 of 1,500 MB" in words_of(page)
    press(page, "Cancel")
    with seeds.database.session() as s:
        assert jobs.get_job(s, job.id).cancel_requested


def test_a_failure_says_what_to_do(seeds: Seeds) -> None:
    with seeds.database.session() as s:
        job = jobs.enqueue(s, "model", None, {"do": "add", "source": "hf:lab/big", "name": "big"})
        jobs.claim(s, "w")
        jobs.fail(s, job.id, "The disk is full.", "Free space.")
    said = notices(open_page("machine"))
    assert "The disk is full" in said
    assert "Free space" in said


def test_what_was_broken_off_can_be_gone_on_with_or_discarded(seeds: Seeds) -> None:
    folder = staging_folder(seeds.home, "big")
    folder.mkdir()
    note_origin(folder, {"source": "hf:lab/big"})
    page = press(open_page("machine"), "Go on")
    assert asked_of_worker(seeds)[0]["source"] == "hf:lab/big"
    with seeds.database.session() as s:
        jobs.cancel(s, jobs.list_jobs(s)[0].id)
    page = open_page("machine")
    assert "big is not complete." in words_of(page)
    press(page, "Discard")
    assert not folder.exists()


def test_wrong_words_are_refused_at_once(seeds: Seeds) -> None:
    page = add(open_page("machine"), "no such thing")
    assert "There is no model at" in notices(page)
    assert add(open_page("machine"), "  ").warning
    assert asked_of_worker(seeds) == []


def test_archives_that_the_default_model_has_not_read_are_named(seeds: Seeds) -> None:
    archive = seeds.archive("Leases & <more>")
    seeds.lease(archive)
    make_default(seeds.home, "other")
    report(seeds)
    page = open_page("machine")
    said = notices(page)
    assert "has not read 1 archive" in said
    assert "Leases" in said
    press(page, "Read them now")
    with seeds.database.session() as s:
        assert [job.archive_id for job in jobs.list_jobs(s) if job.kind == "read"] == [archive.id]


def test_a_model_is_removed_after_confirmation(seeds: Seeds) -> None:
    page = open_page("machine")
    assert "Remove the model" in labels(page)
    press(page, "Remove the model")
    assert model_names(seeds.home) == ["default"]
    assert tiny_model().is_dir()


def test_a_report_survives_the_database() -> None:
    found = Report("m", "now", FOUND, None, 1)
    assert Report(**asdict(found)) == found
