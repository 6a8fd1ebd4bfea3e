"""How far a conversion is and how long it still takes, on standard error."""

import sys
import time
from typing import TextIO

TERMINAL_EVERY_S = 0.5
FILE_EVERY_S = 10.0


class Progress:
    """Counts `done` of `total` units, from what an earlier run had done; rewrites one line on a terminal,
    else writes a line now and then.
    """

    def __init__(
        self, label: str, total: float, unit: str, stream: TextIO | None = None, done: float = 0.0
    ) -> None:
        self._label, self._total, self._unit = label, max(total, 1e-9), unit
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._started = self._said = time.perf_counter()
        self._before = self._done = done
        self._note = ""

    def add(self, amount: float, note: str = "") -> None:
        """So much more is done (beyond an estimated total it is not counted); `note`: how it goes."""
        self._note = f", {note}" if note else ""
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
        spent, done, left = now - self._started, self._done - self._before, self._total - self._done
        time_left = f"{seconds(spent * left / done)} left" if done > 0 and left > 0 else seconds(spent)
        share = f"{self._done:,.0f} of {self._total:,.0f} {self._unit}, {self._done / self._total:.0%}"
        return f"{self._label}: {share}{self._note}, {time_left}"

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
