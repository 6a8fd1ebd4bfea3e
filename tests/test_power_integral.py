"""Joules from watts: exact on known traces, honest when the clock or the sensor misbehaves; the estimate."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from devices import open_meters
from devices.device import Device
from devices.estimate import TdpEstimate
from devices.integral import SAMPLE_S, PowerIntegral, SlowIntegral
from devices.power import Meter

CPU = Device("cpu", "cpu", "Intel", "Xeon", None, (), (), False)


class Trace:
    """A clock and the watts at its time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.silent = False

    def clock(self) -> float:
        return self.now_s

    def watts(self) -> float | None:
        return None if self.silent else 60 + 40 * math.sin(self.now_s) + (25 if self.now_s % 7 < 2 else 0)


def true_energy(seconds: float) -> float:
    steps = 400_000
    width = seconds / steps
    return sum(
        (60 + 40 * math.sin(i * width) + (25 if (i * width) % 7 < 2 else 0)) * width for i in range(steps)
    )


def test_a_changing_trace_integrates_within_one_percent() -> None:
    trace = Trace()
    sensor = PowerIntegral("test", trace.watts, clock=trace.clock)
    sensor.read_energy_j()
    while trace.now_s < 30:
        trace.now_s += SAMPLE_S
        energy = sensor.read_energy_j()
    assert energy == pytest.approx(true_energy(30), rel=0.01)


def test_sampling_is_between_five_and_ten_hertz() -> None:
    assert 5 <= 1 / SAMPLE_S <= 10


def test_a_slow_tool_integrates_what_it_told() -> None:
    clock, told = Trace(), iter([100.0, 100.0, 200.0])
    sensor = SlowIntegral("test", lambda: next(told), clock=clock.clock)
    assert sensor.sample() == 0
    clock.now_s = 1
    assert sensor.sample() == pytest.approx(100)
    clock.now_s = 2
    assert sensor.sample() == pytest.approx(250)
    clock.now_s = 2.5
    assert sensor.read_energy_j() == pytest.approx(350), "the last answer holds until the next"


def test_a_slow_tool_does_not_count_the_time_when_nobody_measured() -> None:
    clock = Trace()
    sensor = SlowIntegral("test", lambda: 100.0, clock=clock.clock)
    sensor.sample()
    clock.now_s = 3600
    before = sensor.read_energy_j()
    clock.now_s = 3601
    sensor.sample()
    after = sensor.read_energy_j()
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(100)


def test_a_slow_tool_that_falls_silent_is_not_available() -> None:
    trace = Trace()
    sensor = SlowIntegral("test", trace.watts, clock=trace.clock)
    sensor.sample()
    trace.silent = True
    assert sensor.sample() is None
    assert sensor.read_energy_j() is None


@pytest.mark.parametrize("make", [PowerIntegral, SlowIntegral])
def test_a_clock_that_goes_backwards_takes_no_energy_away(make: type) -> None:
    clock = Trace()
    sensor = make("test", lambda: 100.0, clock=clock.clock)
    read = getattr(sensor, "sample", sensor.read_energy_j)
    read()
    clock.now_s = 1
    assert read() == pytest.approx(100)
    clock.now_s = -50
    assert read() == pytest.approx(100)
    clock.now_s = -49
    assert 100 <= read() <= 201


def test_a_sensor_that_vanishes_in_mid_run_gives_no_figure() -> None:
    trace = Trace()
    sensor = PowerIntegral("card", trace.watts, sample_s=60, clock=trace.clock)
    with Meter([sensor]).measure() as measured:
        trace.now_s = 1
        trace.silent = True
    assert (measured.energy_j, measured.kind) == (None, "not available")
    assert "card stopped answering" in measured.reason


def busy(monkeypatch: pytest.MonkeyPatch, user: float, idle: float) -> None:
    times = SimpleNamespace(user=user, system=0.0, idle=idle, iowait=2.0, steal=1.0, guest=9.0)
    times._fields = ("user", "system", "idle", "iowait", "steal", "guest")
    monkeypatch.setattr("devices.estimate.psutil.cpu_times", lambda: times)
    monkeypatch.setattr("devices.estimate.psutil.cpu_count", lambda: 4)


def test_the_estimate_is_busy_time_times_tdp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    meter = open_meters(CPU, tmp_path, tdp_w=65)
    busy(monkeypatch, 100, 100)
    with meter.measure() as measured:
        busy(monkeypatch, 102, 102)  # two of four processors busy for one second
    assert measured.energy_j == pytest.approx(65 * 2 / 4)
    assert measured.source == "estimate: utilisation × 65 W TDP"
    assert measured.kind == "estimated"
    assert "no RAPL" in measured.reason
    assert "switched on" in measured.reason


def test_without_asking_for_it_nothing_is_estimated(tmp_path: Path) -> None:
    assert open_meters(CPU, tmp_path).kind == "not available"


def test_a_sensor_is_preferred_to_the_estimate(tmp_path: Path) -> None:
    folder = tmp_path / "intel-rapl:0"
    folder.mkdir()
    for name, text in {"name": "package-0", "energy_uj": "1", "max_energy_range_uj": "262143328850"}.items():
        (folder / name).write_text(text)
    meter = open_meters(CPU, tmp_path, tdp_w=65)
    assert (meter.kind, meter.source) == ("measured", "RAPL package-0")


def test_this_machines_estimate_moves_forward() -> None:
    sensor = TdpEstimate(65)
    first = sensor.read_energy_j()
    sum(i * i for i in range(200_000))
    second = sensor.read_energy_j()
    assert first is not None
    assert second is not None
    assert second >= first > 0


def test_idle_power_is_told_apart() -> None:
    trace = Trace()
    meter = Meter([PowerIntegral("test", lambda: 30.0, clock=trace.clock)])
    meter.idle_w = 12.0
    with meter.measure() as measured:
        trace.now_s = 2
    assert (measured.energy_j, measured.idle_w) == (pytest.approx(60), 12.0)
