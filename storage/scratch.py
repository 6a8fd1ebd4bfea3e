"""Temporary folders that tell whose they are, so that what a killed process left can be swept up."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import psutil

_NAME = re.compile(r"engram-(?:parse|zip)-(?:([0-9]+)-)?[a-z0-9_]+")
_OLD_S = 24 * 3600.0


def scratch_prefix(kind: str, pid: int) -> str:
    """The start of a folder's name: `engram-parse-4711-`."""
    return f"engram-{kind}-{pid}-"


def sweep_scratch(now: float, folder: Path | None = None) -> int:
    """Remove scratch folders whose process is gone (or that name none and are a day old); how many."""
    removed = 0
    for path in (folder or Path(tempfile.gettempdir())).glob("engram-*"):
        named = _NAME.fullmatch(path.name)
        if named is None or path.is_symlink() or not path.is_dir():
            continue
        try:
            left = not psutil.pid_exists(int(named[1])) if named[1] else now - path.stat().st_mtime > _OLD_S
        except OSError:
            continue
        if left:
            shutil.rmtree(path, ignore_errors=True)  # another user's folder stays
            removed += 1
    return removed
