"""What the person sees while start.py works: lines, progress and errors, all on standard error."""

from __future__ import annotations

import sys
import time


class StartError(Exception):
    """Something start.py could not do: what failed, and what the person can do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def say(text: str) -> None:
    """Print one line at once; standard output stays free for a command's own output."""
    print(text, file=sys.stderr, flush=True)


def size_text(size: float) -> str:
    """A byte count as people read it: 190 MB."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"


class Progress:
    """A percentage that redraws itself on a terminal and prints every quarter elsewhere."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.drawn_at = 0.0
        self.quarter = 0
        self.open_line = False
        self.terminal = sys.stderr.isatty()

    def update(self, done: int, total: int) -> None:
        """Show `done` of `total` bytes."""
        if total <= 0:
            return
        text = f"  {self.label}: {100 * done // total} % of {size_text(total)}"
        if not self.terminal:
            quarter = 4 * done // total
            if quarter > self.quarter:
                self.quarter = quarter
                say(text)
        elif time.monotonic() - self.drawn_at > 0.1 or done >= total:
            self.drawn_at = time.monotonic()
            self.open_line = True
            print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line that is being redrawn, if there is one."""
        if self.open_line:
            print(file=sys.stderr, flush=True)
            self.open_line = False
