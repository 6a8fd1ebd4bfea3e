"""Choices take effect between jobs; a device that fails in use is left for the processor, visibly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from app_home import copy_read, fill, make_services, tiny_model
from asking_home import FILES, QUESTION
from reading_home import last_job

from app import running
from app.asking import ask
from app.choices import Choices, choose
from app.errors import UserError
from app.fallback import device_failure
from app.services import Services
from app.settings import Options
from app.worker import Worker
from engine import Engine
from engine.errors import DeviceError
from storage import archives, checkpoints


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


def pick(services: Services, **changes: Any) -> None:
    with services.database.session() as s:
        choose(s, **changes)


def test_choices_are_kept_and_read_back(services: Services) -> None:
    pick(services, device="cuda:1", spike_k=2.0)
    pick(services, tdp_w=65)
    with services.database.session() as s:
        assert Choices.load(s) == Choices("cuda:1", 0.0, 2.0, 65)


@pytest.mark.parametrize("change", [{"spike_k": 0}, {"spike_k": 99}, {"tdp_w": -1}, {"tdp_w": "many"}])
def test_a_choice_that_makes_no_sense_is_refused(services: Services, change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="must lie between"):
        pick(services, **change)
    with services.database.session() as s:
        assert Choices.load(s) == Choices()


def test_another_threshold_factor_is_another_model(tmp_path: Path) -> None:
    own = Engine.load(tiny_model())
    assert Engine.load(tiny_model(), spike_k=3.0).fingerprint == own.fingerprint
    sparser = Engine.load(tiny_model(), spike_k=1.5)
    assert sparser.fingerprint != own.fingerprint
    assert sparser.config.spike is not None
    assert sparser.config.spike.k == 1.5
    ids = list(range(3, 60))
    own.logits(ids), sparser.logits(ids)
    assert own.last_run is not None
    assert sparser.last_run is not None
    assert sparser.last_run.silent_share > own.last_run.silent_share  # type: ignore[operator]


def test_a_threshold_chosen_in_the_page_is_used_from_the_next_job_on(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    archive = fill(services, tmp_path / "in", FILES)
    before = services.engine.fingerprint
    pick(services, spike_k=1.5)
    assert services.engine.fingerprint == before
    from app import library

    with services.database.session() as s:
        library.request_reading(s, archive.id)
    Worker(services).run_until_idle()
    after = services.engine.fingerprint
    assert after != before
    job = last_job(services, "read")
    assert job.result is not None
    assert job.result["read_now"] == job.result["tokens"] > 0, "the whole archive was read again"
    with services.database.session() as s:
        assert checkpoints.list_checkpoints(s, archive.id, before), "the old states are kept"


def test_an_estimate_switched_on_reaches_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.opening.rapl_meters", lambda powercap: ([], "this machine has no sensor"))
    services = copy_read(tmp_path, FILES)
    with services.database.session() as s:
        archive = archives.get_archive(s, "Archive")
    plain = ask(services, archive, QUESTION)["run"]
    assert (plain["energy_j"], plain["power_source"]) == (None, "not available")
    assert (plain["power_kind"], plain["power_reason"]) == ("not available", "this machine has no sensor")
    pick(services, tdp_w=65)
    busy = iter(range(10_000))
    monkeypatch.setattr("devices.estimate.TdpEstimate.read_energy_j", lambda self: 65.0 * next(busy))
    run = ask(services, archive, QUESTION)["run"]
    assert run["power_source"] == "estimate: utilisation × 65 W TDP"
    assert run["power_kind"] == "estimated"
    assert run["energy_j"] > 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            "cuda:0 ran out of memory",
        ),
        (RuntimeError("CUDA error: device-side assert triggered\nmore"), "CUDA error: device-side assert"),
        (RuntimeError("HIP error: the operation cannot be performed"), "HIP error"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB) error"), "ran out of memory"),
        (DeviceError("the engine cannot compute on 'cuda:0' yet"), "cannot compute on"),
        (RuntimeError("shape '[3]' is invalid for input of size 4"), None),
        (ValueError("CUDA error in a value"), None),
    ],
)
def test_a_failing_device_is_told_from_a_mistake(error: Exception, words: str | None) -> None:
    why = device_failure(error, "cuda:0")
    assert (words is None and why is None) or (words is not None and why is not None and words in why)
    assert device_failure(error, "cpu") is None


def test_a_device_failure_is_found_behind_other_errors() -> None:
    error = KeyError("layer")
    error.__cause__ = RuntimeError("CUDA error: an illegal memory access was encountered")
    assert "illegal memory access" in (device_failure(error, "cuda:0") or "")


class Broken:
    """An engine on a card that fails in use, with everything else of the real one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.device = "cuda:0"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def read(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    hidden = hidden_each = advance_each = logits = read


def on_a_broken_card(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    services._engine = Broken(services.engine)  # type: ignore[assignment]
    services._meter = None
    card = SimpleNamespace(kind="cpu", vendor="", name="cpu")
    monkeypatch.setattr("devices.select", lambda name: card)


def test_reading_goes_on_with_the_processor_and_says_so(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_broken_card(services, monkeypatch)
    fill(services, tmp_path / "in", FILES)
    job = last_job(services, "read")
    assert (job.status, job.error) == ("done", "")
    assert services.engine.device == "cpu"
    assert services.device_note == "cuda:0 ran out of memory. The work goes on with the processor."


def test_a_question_is_answered_with_the_processor_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = copy_read(tmp_path, FILES)
    on_a_broken_card(services, monkeypatch)
    with services.database.session() as s:
        archive = archives.get_archive(s, "Archive")
    answer = ask(services, archive, QUESTION)
    assert answer["status"] in ("supported", "partly_supported", "not_found")
    assert answer["run"]["device"] == "cpu"
    assert "cuda:0 ran out of memory" in answer["run"]["device_note"]


def test_choosing_a_device_again_gives_it_another_chance(services: Services) -> None:
    services.fall_back("cuda:0 ran out of memory")
    services.take_choices()
    assert services.device_note
    pick(services, device="auto", device_at=time.time())
    services.take_choices()
    assert services.device_note == ""


def test_a_chosen_device_that_is_gone_does_not_stop_the_work(tmp_path: Path) -> None:
    home = make_services(tmp_path).options.home
    services = Services(Options(home=home))
    pick(services, device="cuda:7")
    fill(services, tmp_path / "in", FILES)
    assert last_job(services, "read").status == "done"
    assert "cuda:7" in services.device_note


def test_our_own_mistakes_are_not_blamed_on_the_device(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any) -> dict[str, Any]:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(running, "run_read", fails)
    on_a_broken_card(services, monkeypatch)
    fill(services, tmp_path / "in", FILES)
    assert last_job(services, "read").status == "failed"
    assert services.device_note == ""
