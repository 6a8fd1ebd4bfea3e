"""The Spikes page: a job for the worker, what came of it drawn and exported, and what can go wrong."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from app_home import make_services
from page_driver import labels, notices, open_page, press, words_of
from page_seeds import Seeds

from app.services import Services
from app.spiking import KEPT_FILES, MAX_TOKENS, SpikeFile, spikes_path, submit
from app.trains import CODINGS, UNSIGNED
from app.view.spikes import train_npz
from app.worker import Worker
from kernels.spike.coding import UNARY, plane_weights
from storage import Job, NotFoundError, jobs

TEXT = "The dose was 5 mg twice a day for 12 weeks."


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


def worked_out(services: Services, text: str = TEXT) -> Job:
    with services.database.session() as s:
        job = submit(s, text, "Own text")
    Worker(services).run_until_idle()
    with services.database.session() as s:
        return jobs.get_job(s, job.id)


@cache
def _made() -> bytes:
    """The spikes of the text, worked out once a test run."""
    with tempfile.TemporaryDirectory() as folder:
        services = make_services(Path(folder))
        job = worked_out(services)
        assert job.status == "done", job.error
        return spikes_path(services.home, job.id).read_bytes()


@pytest.fixture
def kept() -> SpikeFile:
    """A home with spikes number 1."""
    home = Seeds().home
    spikes_path(home, 1).write_bytes(_made())
    return SpikeFile.open(home, 1)


def test_a_text_becomes_a_job_for_the_worker() -> None:
    seeds = Seeds()
    page = press(open_page("spikes"), "Show the spikes")
    assert not page.exception
    with seeds.database.session() as s:
        (job,) = jobs.list_jobs(s)
    assert (job.kind, job.status) == ("spikes", "queued")
    assert "notice period" in job.payload["text"]
    assert "Waiting for the worker" in page.caption[0].value


def test_spikes_are_drawn_with_the_papers_beside_ours(kept: SpikeFile) -> None:
    page = open_page("spikes", spikes=1)
    assert not page.exception, page.exception
    said = words_of(page)
    for words in (
        "1.13",
        "18.4 %",
        "69.15 %",
        "This text, counted",
        "A projection, not a measurement",
        "0.03 pJ",
    ):
        assert words in said
    assert "Own text: " in said
    assert len(page.get("plotly_chart")) == 3
    assert len(page.get("download_button")) == 2


def test_each_coding_and_layer_can_be_looked_at(kept: SpikeFile) -> None:
    page = open_page("spikes", spikes=1)
    for mode in ("ternary", "bitwise_twos_complement"):
        next(box for box in page.selectbox if box.key == "spikes_coding").set_value(mode).run()
        assert not page.exception
    page.select_slider(key="spikes_layer").set_value(2).run()
    assert not page.exception


@pytest.mark.parametrize("mode", CODINGS)
def test_an_exported_train_gives_the_counts_back(kept: SpikeFile, mode: str) -> None:
    events = np.load(io.BytesIO(train_npz(kept, mode, 1)), allow_pickle=False)
    steps = int(events["steps"])
    weights = plane_weights(steps, mode).numpy()
    back = np.zeros((len(kept.about["tokens"]), int(events["channels"])), dtype=np.int64)
    np.add.at(back, (events["token"], events["channel"]), weights[events["step"]] * events["sign"])
    counts = kept.counts(1)
    assert np.array_equal(back, np.abs(counts) if mode in UNSIGNED else counts)
    assert str(events["coding"]) == mode
    assert len(events["threshold"]) == len(counts)
    assert (mode in UNARY) == bool((weights == 1).all() and steps > 1)


def test_a_long_text_is_cut_and_says_so(services: Services) -> None:
    job = worked_out(services, "kelvin " * 2000)
    assert job.result is not None
    assert job.result["tokens"] == MAX_TOKENS
    assert job.result["left_out"] > 0
    assert f"The first {MAX_TOKENS}" in words_of(open_page("spikes", spikes=job.id))


def test_only_the_newest_are_kept(services: Services) -> None:
    for number in range(KEPT_FILES + 3):
        spikes_path(services.home, 10_000 + number).write_bytes(b"old")
    job = worked_out(services)
    assert len(list(services.home.spikes.iterdir())) == KEPT_FILES
    assert SpikeFile.open(services.home, job.id).sites


def test_spikes_that_are_gone_or_damaged_are_told_in_words(services: Services) -> None:
    spikes_path(services.home, 5).write_bytes(b"PK\x03\x04 not a zip")
    for number in (5, 6):
        with pytest.raises(NotFoundError, match="no longer kept"):
            SpikeFile.open(services.home, number)
    page = open_page("spikes", spikes=6)
    assert not page.exception
    assert "no longer kept" in notices(page)


def test_hostile_text_is_escaped(services: Services) -> None:
    job = worked_out(services, "<img src=x onerror=alert(1)> <b>bold</b>")
    page = open_page("spikes", spikes=job.id)
    assert not page.exception
    drawn = "".join(element.proto.body for element in page.get("html"))
    assert "<img" not in drawn
    assert "<b>" not in drawn


def test_a_passage_or_question_of_an_archive_can_be_chosen() -> None:
    seeds = Seeds()
    archive = seeds.archive()
    seeds.lease(archive)
    seeds.finding(archive, question="What is the rent?")
    page = open_page("spikes")
    page.session_state["spikes_of"] = "Passage"
    page.run()
    assert not page.exception
    press(page, "Show the spikes")
    page.session_state["spikes_of"] = "Question"
    page.run()
    assert not page.exception
    press(page, "Show the spikes")
    with seeds.database.session() as s:
        found = [job.payload["text"] for job in jobs.list_jobs(s) if job.kind == "spikes"]
    assert "What is the rent?" in found
    assert any("Harbour Street" in text for text in found)
    assert "Show the spikes" in labels(page)
