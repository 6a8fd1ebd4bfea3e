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
        """So much more is done; what exceeds an estimated total is not counted."""
        self._done = min(self._done + amount, self._total)
        now = time.perf_counter()
        if now - self._said >= (TERMINAL_EVERY_S if self._live else FILE_EVERY_S):
            self._say(now)

    def close(self) -> None:
        """Say the last of it."""
        self._say(time.perf_counter())
        if self._live:
            self._stream.write("\n")

    def line(self, now: float) -> str:
        """What is said at `now` of the clock."""
        share = self._done / self._total
        spent = now - self._started
        time_left = f"{seconds(spent * (1 - share) / share)} left" if 0 < share < 1 else seconds(spent)
        return (
            f"{self._label}: {self._done:,.0f} of {self._total:,.0f} {self._unit}, {share:.0%}, {time_left}"
        )

    def _say(self, now: float) -> None:
        self._said = now
        self._stream.write(f"\r{self.line(now):<78}" if self._live else self.line(now) + "\n")
        self._stream.flush()


def seconds(value: float) -> str:
    """'8 s', '3 min 5 s' or '2 h 4 min'."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
