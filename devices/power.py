"""Energy of a stretch of work: measured, with the source named, or not available; never zero for unknown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

NOT_AVAILABLE = "not available"
MEASURED, ESTIMATED = "measured", "estimated"


class PowerMeter(Protocol):
    """One sensor. `sample_s`: it must be read at least this often while measuring; None: only at the ends.

    One that takes long to ask has `sample` too, which is called in the background instead. An estimate has
    `estimated`.
    """

    source: str
    sample_s: float | None

    def read_energy_j(self) -> float | None:
        """Joules since some fixed moment, or None when the sensor does not answer."""


@dataclass(slots=True)
class Measurement:
    """What a stretch of work drew, filled in when it ends. `reason` says what is missing from it, and why."""

    energy_j: float | None = None
    power_w: float | None = None
    seconds: float = 0.0
    source: str = NOT_AVAILABLE
    reason: str = ""
    parts: tuple[tuple[str, float], ...] = ()  # (source, joules) of each sensor
    kind: str = NOT_AVAILABLE  # "measured", "estimated" or "not available"
    idle_w: float | None = None  # what the same sensors showed while nothing was done


class Meter:
    """The sensors of one device together. Measurements may be nested and run in several threads at once."""

    def __init__(
        self, sensors: Sequence[PowerMeter], reason: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sensors = tuple(sensors)
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: dict[object, str] = {}  # running measurements, and the sensor that fell silent in each
        self._stop: threading.Event | None = None
        self.reason = reason
        self.idle_w: float | None = None  # set by whoever knows when nothing is done

    @property
    def source(self) -> str:
        """The sensors' names, or "not available"."""
        return " + ".join(sensor.source for sensor in self._sensors) or NOT_AVAILABLE

    @property
    def kind(self) -> str:
        """Whether figures are measured, estimated or not available."""
        if not self._sensors:
            return NOT_AVAILABLE
        return ESTIMATED if any(getattr(s, "estimated", False) for s in self._sensors) else MEASURED

    def total_j(self) -> float | None:
        """Joules of all sensors since some fixed moment; right while a measurement runs. None: not known."""
        values = [sensor.read_energy_j() for sensor in self._sensors]
        known = [value for value in values if value is not None]
        return sum(known) if values and len(known) == len(values) else None

    @contextmanager
    def measure(self) -> Iterator[Measurement]:
        """Measure the body: `with meter.measure() as m: ...`, then m.energy_j, m.power_w, m.source."""
        result = Measurement(reason=self.reason)
        run = self._enter()
        started_s = self._clock()
        before = [sensor.read_energy_j() for sensor in self._sensors]
        try:
            yield result
        finally:
            after = [sensor.read_energy_j() for sensor in self._sensors]
            result.seconds = self._clock() - started_s
            silent = self._leave(run)
            self._fill(result, before, after, silent)

    def _fill(
        self, result: Measurement, before: list[float | None], after: list[float | None], silent: str
    ) -> None:
        parts: list[tuple[str, float]] = []
        for sensor, start_j, end_j in zip(self._sensors, before, after, strict=True):
            if start_j is None or end_j is None:
                silent = silent or sensor.source
            else:
                parts.append((sensor.source, end_j - start_j))
        if silent:
            result.reason = f"{silent} stopped answering during the measurement"
            return
        energy_j = sum(joules for _, joules in parts)
        if not parts:
            return
        if energy_j <= 0 or result.seconds <= 0:
            result.reason = f"too short for {self.source} to show a difference"
            return
        result.parts = tuple(parts)
        result.energy_j = energy_j
        result.power_w = energy_j / result.seconds
        result.source, result.kind, result.idle_w = self.source, self.kind, self.idle_w

    def _enter(self) -> object:
        run = object()
        with self._lock:
            self._failed[run] = ""
            sampled = [sensor for sensor in self._sensors if sensor.sample_s is not None]
            if sampled and self._stop is None:
                self._stop = threading.Event()
                for sensor in sampled:  # a thread each: a slow tool must not delay a fast counter
                    arguments = (self._stop, sensor)
                    threading.Thread(target=self._sample, args=arguments, name="power", daemon=True).start()
        return run

    def _leave(self, run: object) -> str:
        """End a measurement; the name of a sensor that fell silent while it ran, or nothing."""
        with self._lock:
            if len(self._failed) == 1 and self._stop is not None:
                self._stop.set()
                self._stop = None
            return self._failed.pop(run)

    def _sample(self, stop: threading.Event, sensor: PowerMeter) -> None:
        ask = getattr(sensor, "sample", None) or sensor.read_energy_j
        slow = hasattr(sensor, "sample")
        while slow or not stop.wait(sensor.sample_s):
            if ask() is None:
                with self._lock:
                    self._failed = dict.fromkeys(self._failed, sensor.source)
            if slow and stop.wait(sensor.sample_s):
                return
