"""The figures behind the gauges: sampled beside a job, readable while it runs, kept as its history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from app_home import fill, make_services
from asking_home import FILES

from app import live
from app.idle import LOOK_S, IdleWatch
from app.live import KEPT, SERIES, Live, live_path, load_live
from app.services import Services
from app.task import Task
from devices import Meter
from storage import jobs, metrics


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


class Sensor:
    """Draws ten watts of the clock's time."""

    source, sample_s = "test sensor", None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.silent = False

    def read_energy_j(self) -> float | None:
        return None if self.silent else 10 * self._clock.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fake = SimpleNamespace(monotonic=clock.monotonic, thread_time=lambda: 0.0)
    monkeypatch.setattr(live, "time", fake)
    return clock


@pytest.fixture
def watched(tmp_path: Path, clock: Clock) -> Iterator[tuple[Services, Live, Sensor]]:
    services = make_services(tmp_path)
    sensor = Sensor(clock)
    services._meter = Meter([sensor], clock=clock.monotonic)
    with services.database.session() as s:
        job = jobs.enqueue(s, "read", None, {})
        jobs.claim_job(s, job.id, "tester")
    task = Task(services, job, "tester")
    task.done = 4096.0
    yield services, Live(services, task), sensor
    services._meter = None


def work(services: Services, clock: Clock, gauges: Live, tokens: int, seconds: float = 1.0) -> None:
    services.engine.decoder.tokens_seen += tokens
    clock.now_s += seconds
    gauges.sample()


def test_a_sample_tells_watts_speed_and_energy(watched: tuple[Services, Live, Sensor], clock: Clock) -> None:
    services, gauges, _ = watched
    gauges.sample()
    for _ in range(4):
        work(services, clock, gauges, 500)
    found = load_live(services.home, gauges._task.job)
    assert found is not None
    last = {name: column[-1] for name, column in found["series"].items()}
    assert last["power_w"] == pytest.approx(10)
    assert last["energy_j"] == pytest.approx(40)
    assert last["tokens"] == 2000
    assert last["tokens_per_s"] == pytest.approx(500)
    assert last["context_tokens"] == 4096
    assert last["memory_bytes"] > 1e6
    assert (found["power_kind"], found["power_source"], found["device"]) == ("measured", "test sensor", "cpu")
    assert set(found["series"]) == set(SERIES)


def test_speed_waits_for_a_chunk_that_takes_long(
    watched: tuple[Services, Live, Sensor], clock: Clock
) -> None:
    services, gauges, _ = watched
    gauges.sample()
    work(services, clock, gauges, 0)
    assert gauges.series["tokens_per_s"][-1] is None, "nothing is known yet: not zero"
    work(services, clock, gauges, 1024)
    for _ in range(20):
        work(services, clock, gauges, 0)
    assert (gauges.series["tokens_per_s"][-1] or 0) > 0, "between chunks the speed is not zero either"


def test_a_sensor_that_vanishes_is_not_shown_as_zero(
    watched: tuple[Services, Live, Sensor], clock: Clock
) -> None:
    services, gauges, sensor = watched
    gauges.sample()
    work(services, clock, gauges, 100)
    sensor.silent = True
    work(services, clock, gauges, 100)
    assert gauges.series["power_w"][-1] is None
    assert gauges.series["energy_j"][-1] is None


def test_a_long_run_keeps_its_shape_in_bounded_space(
    watched: tuple[Services, Live, Sensor], clock: Clock
) -> None:
    services, gauges, _ = watched
    gauges._write = lambda: None  # type: ignore[method-assign]
    gauges.sample()
    for _ in range(5 * KEPT):
        work(services, clock, gauges, 10)
    moments = gauges.series["seconds"]
    assert KEPT / 2 <= len(moments) <= KEPT
    assert (moments[-1] or 0) > 4.9 * KEPT
    assert len({len(column) for column in gauges.series.values()}) == 1


def test_a_job_leaves_its_history_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SAMPLE_S", 0.01)
    monkeypatch.setattr(live, "LEAST_S", 0.001)  # the tiny model reads these files in less than the usual
    services = make_services(tmp_path)
    archive = fill(services, tmp_path / "in", FILES)
    assert list(services.home.live.iterdir()) == []
    with services.database.session() as s:
        (trace,) = metrics.list_metrics(s, "trace", archive.id)
        job = jobs.get_job(s, trace.job_id or 0)
    assert job.kind == "read"
    assert trace.values["series"]["seconds"]
    assert trace.values["shape"]["head_dim"] == 16


def test_gauges_that_fail_do_not_disturb_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Live) -> None:
        raise RuntimeError("a gauge is broken")

    monkeypatch.setattr(live, "SAMPLE_S", 0.01)
    monkeypatch.setattr(Live, "sample", fails)
    services = make_services(tmp_path)
    fill(services, tmp_path / "in", FILES)
    with services.database.session() as s:
        assert {job.status for job in jobs.list_jobs(s)} == {"done"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"series": 3}'])
def test_a_damaged_file_shows_nothing(tmp_path: Path, text: str) -> None:
    services = make_services(tmp_path)
    job: Any = SimpleNamespace(id=7)
    live_path(services.home, 7).write_text(text)
    assert load_live(services.home, job) is None
    live.sweep(services.home)
    assert list(services.home.live.iterdir()) == []
    assert json.dumps(load_live(services.home, job)) == "null"


class Idle:
    """Drives an idle watch over a sensor of ten watts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr("app.idle.time", self.clock)
        self.meter = Meter([Sensor(self.clock)], clock=self.clock.monotonic)
        self.watch = IdleWatch()

    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.watch.idle(self.meter)


def test_idleness_is_measured_once_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Idle(monkeypatch)
    idle.wait(0)
    idle.wait(LOOK_S / 2)
    assert idle.meter.idle_w is None
    idle.wait(LOOK_S)
    assert idle.meter.idle_w == pytest.approx(10)


def test_work_ends_a_look_at_idleness_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Idle(monkeypatch)
    idle.wait(0)
    idle.watch.busy()
    idle.wait(LOOK_S * 2)
    assert idle.meter.idle_w is None
    idle.wait(LOOK_S * 2)
    assert idle.meter.idle_w is not None
