"""Original files, stored once under the hash of their content."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from storage.errors import InvalidInputError, NotFoundError, translated
from storage.records import StoredFile

_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class FileStore:
    """Content-addressed files below one folder: <root>/<aa>/<sha256>."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, source: Path | str | BinaryIO) -> StoredFile:
        """Store a file's or stream's content durably and say under which hash; the same content only once."""
        with translated():
            if isinstance(source, str | os.PathLike):
                path = Path(source)
                if not path.is_file():
                    raise NotFoundError("file_missing", f"No such file: {path.name}", "Check the path.")
                with path.open("rb") as stream:
                    return self._add(stream)
            return self._add(source)

    def path(self, sha256: str) -> Path:
        """Where that content lies, whether or not it is there."""
        if not _SHA256.fullmatch(sha256):
            raise InvalidInputError("bad_hash", "Not a SHA-256 in lower-case hexadecimal.")
        return self.root / sha256[:2] / sha256

    def delete(self, sha256: str) -> None:
        """Forget that content; no error when it is not there."""
        with translated():
            self.path(sha256).unlink(missing_ok=True)

    def sweep(self, keep: set[str], older_than_s: float = 0.0) -> int:
        """Delete contents not in `keep` and left-over temporary files. Where something may be being added,
        `older_than_s` spares what is younger.
        """
        removed, newest = 0, time.time() - older_than_s
        with translated():
            for path in self.root.glob("*/*"):
                if path.name not in keep and path.stat().st_mtime <= newest:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _add(self, stream: BinaryIO) -> StoredFile:
        incoming = self.root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=incoming)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as out:
                stored = _copy(stream, out)
            target = self.path(stored.sha256)
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                temporary.replace(target)
                sync_folder(target.parent)
            return stored
        finally:
            temporary.unlink(missing_ok=True)


def _copy(stream: BinaryIO, out: BinaryIO) -> StoredFile:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        out.write(chunk)
    out.flush()
    os.fsync(out.fileno())
    return StoredFile(digest.hexdigest(), size)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system allows it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
