"""Which files a person means when naming files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from storage.ingest.names import sanitize_name
from storage.ingest.parsed import ParseFailure

_SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def expand(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield (path, shown name) of every file; folders recursively, in name order, hidden files left out.

    Links inside folders that lead to folders are not followed. A path that is not there raises ParseFailure.
    """
    for path in paths:
        path = Path(path)
        if path.is_dir():
            base = path.name or path.resolve().name
            for found in _walk(path):
                yield found, sanitize_name(f"{base}/{found.relative_to(path).as_posix()}")
        elif os.path.lexists(path):
            yield path, sanitize_name(path.name)
        else:
            raise ParseFailure(
                "failed", f"There is no file or folder {path}", "Check the path and try again."
            )


def _walk(folder: Path) -> Iterator[Path]:
    for current, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(files):
            if not is_hidden(name):
                yield Path(current) / name


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that systems make for themselves."""
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM_NAMES
