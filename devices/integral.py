"""Joules from momentary watts, for sensors that only tell how much they draw now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

SAMPLE_S = 0.15
SLOW_S = 1.0


class _Integral:
    """What both integrals are: a source of watts by name, asked every `sample_s` seconds, and a clock."""

    def __init__(
        self,
        source: str,
        read_power_w: Callable[[], float | None],
        sample_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.sample_s: float | None = sample_s
        self._read_power_w = read_power_w
        self._clock = clock
        self._lock = threading.Lock()
        self._total_j = 0.0


class PowerIntegral(_Integral):
    """Adds up watts between readings (trapezoids); right if read every `sample_s` seconds.

    `read_power_w` gives None when the sensor does not answer. A clock that goes backwards adds nothing.
    """

    def __init__(
        self, source: str, read_power_w: Callable[[], float | None], sample_s: float = SAMPLE_S, **more: Any
    ) -> None:
        super().__init__(source, read_power_w, sample_s, **more)
        self._last: tuple[float, float] | None = None

    def read_energy_j(self) -> float | None:
        """Joules so far; None when the sensor no longer answers."""
        with self._lock:
            power_w = self._read_power_w()
            if power_w is None:
                self._last = None
                return None
            now = self._clock()
            if self._last is not None:
                then, before_w = self._last
                self._total_j += (power_w + before_w) / 2 * max(0.0, now - then)
            self._last = now, power_w
            return self._total_j


class SlowIntegral(_Integral):
    """The same for a sensor that takes long to ask (a vendor's command): `sample` asks it, in the background;
    in between the last answer holds, so that no measurement waits for it.
    """

    def __init__(
        self, source: str, read_power_w: Callable[[], float | None], sample_s: float = SLOW_S, **more: Any
    ) -> None:
        super().__init__(source, read_power_w, sample_s, **more)
        self._power_w: float | None = None
        self._silent = False
        self._told_at = self._at = self._clock()  # when it last answered; up to when joules are added up

    def sample(self) -> float | None:
        """Ask the sensor; joules so far, None when it does not answer."""
        power_w = self._read_power_w()
        with self._lock:
            now = max(self._clock(), self._at)
            self._silent = power_w is None
            if power_w is None:
                self._power_w = None
                return None
            before_w = power_w if self._power_w is None else self._power_w
            self._total_j += (power_w + before_w) / 2 * (now - self._at)
            self._power_w, self._told_at, self._at = power_w, now, now
            return self._total_j

    def read_energy_j(self) -> float | None:
        """Joules so far, the last answer taken to hold until now; None after a silence."""
        with self._lock:
            if self._silent:
                return None
            now = max(self._clock(), self._at)
            assert self.sample_s is not None
            if now - self._told_at > 5 * self.sample_s:  # nobody measured for a while: begin anew
                self._power_w, self._at, self._told_at = None, now, now
            elif self._power_w is not None:
                self._total_j += self._power_w * (now - self._at)
                self._at = now
            return self._total_j
