"""What commands print: JSON for scripts, aligned columns and sentences for people."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from storage import Job


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest cell; no line breaks or control characters out of names."""
    cells = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())


def clean(value: object) -> str:
    """Text for a terminal: one line, nothing that moves the cursor."""
    text = " ".join(str("" if value is None else value).split())
    return "".join(character for character in text if character.isprintable())


def duration(seconds: float | None) -> str:
    """`42 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "?"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class ProgressLine:
    """A job's progress on standard error: one line that renews itself, or a line now and then in a log."""

    LOG_STEP = 0.1

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._width = 0
        self._logged: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def show(self, job: Job) -> None:
        """Draw the job as it stands."""
        with self._lock:
            if self._live:
                self._draw(progress_text(job))
                return
            step = int(job.done / job.total / self.LOG_STEP) if job.total else 0
            if (job.id, step) != self._logged and job.total:
                self._logged = (job.id, step)
                print(progress_text(job), file=self._stream, flush=True)

    def end(self) -> None:
        """Leave the line as it is and go to the next."""
        with self._lock:
            if self._live and self._width:
                self._draw("")
                self._stream.write("\r")
                self._stream.flush()
            self._width = 0

    def _draw(self, text: str) -> None:
        text = text[:118]
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)


def progress_text(job: Job) -> str:
    """`reading a.pdf: 1,024 of 9,001 tokens (11 %), 812 tokens/s, 10 s left`."""
    if job.status == "queued":
        return f"{job.kind}: waiting for the worker"
    name = clean(job.message) or job.kind
    if not job.total:
        return name if not job.done else f"{name}: {job.done:,.0f} {job.unit}"
    parts = [f"{job.done:,.0f} of {job.total:,.0f} {job.unit} ({job.done / job.total:.0%})"]
    if job.rate and job.status == "running":
        parts += [f"{job.rate:,.0f} {job.unit}/s", f"{duration(job.eta_s)} left"]
    return f"{name[:60]}: {', '.join(parts)}"
