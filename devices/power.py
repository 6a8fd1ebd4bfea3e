"""Energy of a stretch of work: measured, with the source named, or not available; never zero for unknown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from devices.device import Device
from devices.nvidia import load_nvml, nvml_meter
from devices.rapl import POWERCAP, rapl_meters

NOT_AVAILABLE = "not available"


class PowerMeter(Protocol):
    """One sensor. `sample_s`: it must be read at least this often while measuring; None: only at the ends."""

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

    @property
    def source(self) -> str:
        """The sensors' names, or "not available"."""
        return " + ".join(sensor.source for sensor in self._sensors) or NOT_AVAILABLE

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
        result.source = self.source

    def _enter(self) -> object:
        run = object()
        with self._lock:
            self._failed[run] = ""
            periods = [sensor.sample_s for sensor in self._sensors if sensor.sample_s is not None]
            if periods and self._stop is None:
                self._stop = threading.Event()
                arguments = (self._stop, min(periods))
                threading.Thread(target=self._sample, args=arguments, name="power", daemon=True).start()
        return run

    def _leave(self, run: object) -> str:
        """End a measurement; the name of a sensor that fell silent while it ran, or nothing."""
        with self._lock:
            if len(self._failed) == 1 and self._stop is not None:
                self._stop.set()
                self._stop = None
            return self._failed.pop(run)

    def _sample(self, stop: threading.Event, period_s: float) -> None:
        while not stop.wait(period_s):
            for sensor in self._sensors:
                if sensor.sample_s is not None and sensor.read_energy_j() is None:
                    with self._lock:
                        self._failed = dict.fromkeys(self._failed, sensor.source)


def open_meters(device: Device, powercap: Path = POWERCAP, nvml: Any | None = None) -> Meter:
    """The meter of `device`: its own sensor and the processor's, or one that says why it cannot measure."""
    processor, processor_reason = rapl_meters(powercap)
    if device.kind == "cpu":
        return Meter(processor, processor_reason)
    if device.vendor != "NVIDIA":
        return Meter((), f"no power meter for {device.vendor} devices here")
    nvml = nvml or load_nvml()
    if nvml is None:
        return Meter((), "NVIDIA's management library (NVML) does not answer")
    card, card_reason = nvml_meter(nvml, device)
    if card is None:
        return Meter((), card_reason)
    missing = f"without the processor: {processor_reason}" if processor_reason else ""
    return Meter((card, *processor), missing)
