"""Logs: words on standard error for who watches, tracebacks in HOME/logs/errors.log for who mends."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"
ERROR_BYTES = 2_000_000


@contextmanager
def errors_kept(folder: Path) -> Iterator[None]:
    """Errors logged inside go to errors.log with their tracebacks, and not to the terminal."""
    path = folder / "errors.log"
    kept = RotatingFileHandler(path, maxBytes=ERROR_BYTES, backupCount=1, encoding="utf-8", delay=True)
    kept.setLevel(logging.ERROR)
    kept.setFormatter(logging.Formatter(FORM))
    root = logging.getLogger()
    root.addHandler(kept)
    try:
        yield
    finally:
        root.removeHandler(kept)
        kept.close()


def log_to_terminal() -> None:
    """Say on standard error what the worker does, a line a job; tracebacks stay in errors.log."""
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(_OneLine(FORM))
    logging.getLogger().addHandler(shown)
    logging.getLogger("app").setLevel(logging.INFO)


class _OneLine(logging.Formatter):
    def formatException(self, ei: object) -> str:
        error = ei[1] if isinstance(ei, tuple) else None
        return f"  {type(error).__name__}: {error}"
