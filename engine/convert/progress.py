"""How far a conversion is and how long it still takes, on standard error."""

import sys
import time
from typing import TextIO

TERMINAL_EVERY_S = 0.5
FILE_EVERY_S = 10.0


class Progress:
    """Counts `done` of `total` units; rewrites one line on a terminal, else writes a line now and then."""

    def __init__(self, label: str, total: float, unit: str, stream: TextIO | None = None) -> None:
        self._label, self._total, self._unit = label, max(total, 1e-9), unit
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._started = self._said = time.perf_counter()
        self._done = 0.0

    def add(self, amount: float) -> None:
        """So much more is done."""
        self._done += amount
        now, pause = time.perf_counter(), TERMINAL_EVERY_S if self._live else FILE_EVERY_S
        if now - self._said >= pause or self._done >= self._total:
            self._said = now
            self._stream.write(f"\r{self.line(now):<78}" if self._live else self.line(now) + "\n")
            self._stream.flush()

    def line(self, now: float) -> str:
        """What is said after `now` seconds of the clock."""
        share = min(1.0, self._done / self._total)
        left = (now - self._started) * (1 - share) / share if share else 0.0
        rest = f", {seconds(left)} left" if share < 1 else f", {seconds(now - self._started)}"
        return f"{self._label}: {self._done:.3g} of {self._total:.3g} {self._unit}, {share:.0%}{rest}"

    def close(self) -> None:
        """End the line."""
        if self._live:
            self._stream.write("\n")


def seconds(value: float) -> str:
    """'8 s', '3 min 5 s' or '2 h 4 min'."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
