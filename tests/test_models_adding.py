"""Adding models: from a folder, a GGUF file, Hugging Face, ModelScope; broken off and gone on with."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_home import make_services, tiny_model
from gguf_files import write_llama
from hub_server import Hub, point_at, serving

from app import fetching, installing
from app.installed import (
    default_name,
    make_default,
    model_names,
    model_path,
    origin,
    remove_model,
    unfinished,
)
from app.services import Services
from app.settings import Options
from app.worker import Worker
from engine import Engine
from storage import Job, jobs

WEIGHTS = "model.safetensors"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path)
    yield made
    made.close()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the tiny model, its weights beside pickles of the same."""
    folder = shutil.copytree(tiny_model(), tmp_path / "hub")
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    monkeypatch.setattr(fetching.time, "sleep", lambda seconds: None)
    with serving(folder) as running:
        point_at(running, monkeypatch)
        yield running


def do(services: Services, **payload: Any) -> Job:
    """Have the worker do it; the job as it ended."""
    with services.database.session() as s:
        job = jobs.enqueue(s, "model", None, {"do": "add", **payload})
    Worker(services).run_until_idle()
    with services.database.session() as s:
        return jobs.get_job(s, job.id)


@pytest.mark.parametrize("source", ["lab/tiny", "modelscope:lab/tiny"])
def test_a_model_of_a_hub_is_fetched_checked_and_usable(services: Services, hub: Hub, source: str) -> None:
    job = do(services, source=source)
    assert (job.status, job.error) == ("done", "")
    assert job.result is not None
    assert (job.result["name"], job.result["inspection"]["problems"]) == ("tiny", [])
    assert model_names(services.home) == ["default", "tiny"]
    engine = Engine.load(model_path(services.home, "tiny"))
    assert engine.fingerprint == job.result["inspection"]["fingerprint"]
    assert origin(services.home, "tiny")["source"].endswith("lab/tiny")
    fetched = {name for name, _ in hub.asked}
    assert "pytorch_model.bin" not in fetched
    assert WEIGHTS in fetched
    assert job.done == pytest.approx(job.total)


def test_a_lost_connection_is_taken_up_where_it_broke(services: Services, hub: Hub) -> None:
    hub.break_after[WEIGHTS] = 70_000
    job = do(services, source="lab/tiny")
    assert (job.status, job.error) == ("done", "")
    ranges = [wanted for name, wanted in hub.asked if name == WEIGHTS]
    assert ranges == ["", "bytes=65536-"]
    assert (services.home.models / "tiny" / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()


def test_a_download_that_was_broken_off_goes_on_in_the_next_job(
    services: Services, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TRIES", 1)
    hub.break_after[WEIGHTS] = 70_000
    first = do(services, source="lab/tiny")
    assert first.status == "failed"
    assert "goes on where it stopped" in first.hint
    assert (model_names(services.home), unfinished(services.home)) == (["default"], ["tiny"])
    hub.asked.clear()
    assert do(services, source="lab/tiny").status == "done"
    assert hub.asked == [(WEIGHTS, "bytes=65536-")]
    assert unfinished(services.home) == []


def test_a_server_without_ranges_is_read_from_the_start_again(services: Services, hub: Hub) -> None:
    hub.ranges = False
    hub.break_after[WEIGHTS] = 70_000
    assert do(services, source="lab/tiny").status == "done"
    assert (services.home.models / "tiny" / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()


def test_a_file_that_is_not_the_one_announced_is_refused_and_fetched_anew(
    services: Services, hub: Hub
) -> None:
    good = (hub.folder / WEIGHTS).read_bytes()
    hub.swapped[WEIGHTS] = good[:-1] + bytes([good[-1] ^ 1])
    job = do(services, source="lab/tiny")
    assert (job.status, "SHA-256" in job.error) == ("failed", True)
    assert model_names(services.home) == ["default"]
    hub.swapped.clear()
    assert do(services, source="lab/tiny").status == "done"


def test_a_model_of_an_unknown_kind_is_refused_before_its_weights_are_fetched(
    services: Services, hub: Hub
) -> None:
    raw = json.loads((hub.folder / "config.json").read_text())
    (hub.folder / "config.json").write_text(json.dumps(raw | {"model_type": "mamba"}))
    job = do(services, source="lab/tiny")
    assert (job.status, job.error) == ("failed", "unknown model type 'mamba'")
    assert WEIGHTS not in {name for name, _ in hub.asked}


def test_no_room_on_the_disk_is_said_with_numbers(
    services: Services, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(installing.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 100_000))
    job = do(services, source="lab/tiny")
    assert job.status == "failed"
    assert "more on the disk; 0.00 GB are free" in job.error
    assert [name for name, _ in hub.asked] == []


def test_cancelling_keeps_what_has_arrived(
    services: Services, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.task.BEAT_S", 0.01)
    begun = fetching._append

    def cancelled(file: Any, part: Path, on_bytes: Any) -> None:
        if file.name == WEIGHTS:
            with services.database.session() as s:
                jobs.cancel(s, jobs.list_jobs(s)[0].id)
            monkeypatch.setattr("app.task.SHOW_S", 0.0)  # the next word of progress brings the answer
        begun(file, part, on_bytes)

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "_append", cancelled)
        job = do(services, source="lab/tiny")
    assert job.status == "cancelled"
    part = services.home.models / ".adding-tiny" / f"{WEIGHTS}.part"
    assert part.stat().st_size > 0
    assert do(services, source="lab/tiny").status == "done"
    assert hub.asked[-1][1].startswith("bytes=")


def test_a_name_that_a_hub_does_not_have_is_said(services: Services, hub: Hub) -> None:
    for source in ("hf:lab/other", "modelscope:lab/other"):
        job = do(services, source=source)
        assert "has no model 'lab/other'" in job.error


def test_pickles_alone_are_refused(services: Services, hub: Hub) -> None:
    (hub.folder / WEIGHTS).unlink()
    job = do(services, source="lab/tiny")
    assert job.error == "There are only pickles, which can run any code when opened."


def test_a_local_folder_is_used_in_place_or_copied(services: Services, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model(), tmp_path / "mine")
    assert do(services, source=str(folder), name="linked").status == "done"
    assert do(services, source=str(folder), name="copied", copy=True).status == "done"
    assert model_path(services.home, "linked") == folder
    assert model_path(services.home, "copied") == services.home.models / "copied"
    remove_model(services.home, "linked")
    remove_model(services.home, "copied")
    assert model_names(services.home) == ["default"]
    assert (folder / WEIGHTS).is_file()


def test_a_gguf_file_is_added_and_runs_under_its_name(services: Services, tmp_path: Path) -> None:
    file = write_llama(tmp_path / "base.gguf")
    assert do(services, source=str(file), name="base", copy=True).result is not None
    assert model_names(services.home) == ["base.gguf", "default"]
    other = Services(Options(home=services.home.path, model="base.gguf"))
    assert other.engine.config.model_type == "llama"
    other.close()
    remove_model(services.home, "base.gguf")
    assert os.listdir(services.home.models) == ["default"]


def test_a_taken_or_impossible_name_is_refused(services: Services) -> None:
    for name, code in (("default", "exists already"), ("../x", "is no name"), (".hidden", "is no name")):
        job = do(services, source=str(tiny_model()), name=name)
        assert (job.status, code in job.error) == ("failed", True)


def test_removing_the_default_model_goes_back_to_the_one_that_comes_with_engram(
    services: Services, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model(), tmp_path / "mine")
    do(services, source=str(folder), name="mine")
    make_default(services.home, "mine")
    assert (default_name(services.home), services.model_name) == ("mine", "mine")
    remove_model(services.home, "mine")
    assert services.model_name == "default"
    shutil.rmtree(folder)
