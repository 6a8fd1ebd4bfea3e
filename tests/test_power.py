"""The meter: nesting, threads, sampling, and what it says when it cannot measure."""

import threading
import time
from collections.abc import Iterator

import pytest
from nvml_fake import FakeNvml

from devices.nvidia import EnergyCounter
from devices.power import Meter


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Sensor:
    """Joules that a test sets; None: it does not answer."""

    source = "test sensor"

    def __init__(self, sample_s: float | None = None) -> None:
        self.sample_s = sample_s
        self.energy_j: float | None = 50.0

    def read_energy_j(self) -> float | None:
        return self.energy_j


def power_threads() -> int:
    return sum(thread.name == "power" for thread in threading.enumerate())


def wait_until_quiet() -> None:
    deadline = time.monotonic() + 10
    while power_threads() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert power_threads() == 0


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    wait_until_quiet()
    yield
    wait_until_quiet()


def test_nested_measurements_each_get_their_own() -> None:
    sensor = Sensor()
    meter = Meter([sensor])
    with meter.measure() as outer:
        sensor.energy_j = 52.0
        with meter.measure() as inner:
            sensor.energy_j = 55.0
        sensor.energy_j = 56.0
    assert inner.energy_j == pytest.approx(3)
    assert outer.energy_j == pytest.approx(6)


def test_measurements_in_many_threads_agree() -> None:
    sensor = Sensor(sample_s=0.001)
    meter, inside = Meter([sensor]), threading.Barrier(9, timeout=10)
    results: list[float | None] = []

    def work() -> None:
        with meter.measure() as measured:
            inside.wait()
            inside.wait()
        results.append(measured.energy_j)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    inside.wait()
    sensor.energy_j = 80.0
    inside.wait()
    for thread in threads:
        thread.join()
    assert results == [30.0] * 8


def test_sampling_runs_only_while_something_is_measured() -> None:
    meter = Meter([Sensor(sample_s=0.001)])
    with meter.measure():
        with meter.measure():
            assert power_threads() == 1
        assert power_threads() == 1


def test_counters_need_no_sampling_thread() -> None:
    with Meter([EnergyCounter(FakeNvml(), 0, 0)]).measure():
        assert power_threads() == 0


def test_sensor_that_was_silent_for_a_while_is_not_trusted() -> None:
    sensor = Sensor(sample_s=0.001)
    noticed = threading.Semaphore(0)
    read = sensor.read_energy_j

    def silent_while_sampled() -> float | None:
        if threading.current_thread().name == "power":
            noticed.release()
            return None
        return read()

    sensor.read_energy_j = silent_while_sampled
    with Meter([sensor]).measure() as measured:
        # When it is asked a second time, the first silence has been noted.
        assert noticed.acquire(timeout=10)
        assert noticed.acquire(timeout=10)
        sensor.energy_j = 60.0
    assert measured.energy_j is None
    assert "stopped answering" in measured.reason


def test_work_too_short_for_the_counter_is_none_not_zero() -> None:
    with Meter([Sensor()]).measure() as measured:
        pass
    assert (measured.energy_j, measured.power_w) == (None, None)
    assert "too short" in measured.reason


def test_failing_work_is_measured_and_its_error_passed_on() -> None:
    sensor, clock = Sensor(), Clock()
    meter = Meter([sensor], clock=clock)
    results = []

    def fail() -> None:
        with meter.measure() as measured:
            results.append(measured)
            sensor.energy_j = 57.0
            clock.now_s += 2
            raise KeyError("work")

    with pytest.raises(KeyError):
        fail()
    (measured,) = results
    assert measured.energy_j == pytest.approx(7)
    assert measured.power_w == pytest.approx(3.5)
