"""Reading a backup back. The file may be anybody's: names, sizes, hashes and types are checked first."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.backup.rows import bad_backup, listed, typed
from storage.backup.writing import BLOCK, FORMAT, MANIFEST, VERSION
from storage.errors import DiskFullError, InvalidInputError, translated

MOST_MANIFEST = 200_000_000
MOST_JSON = 500_000_000
MOST_RATIO = 1_000
SMALL = 10_000_000
SPARE = 100_000_000
_MEMBER = re.compile(
    r"originals/[0-9a-f]{64}|documents/[0-9]{1,7}\.json|states/[0-9]{1,4}\.state|tables/[a-z_]{1,40}\.json"
)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, UnicodeError)


class BackupReader:
    """An opened backup; use as a context manager. `manifest` is checked, members are when they are read."""

    def __init__(self, path: Path) -> None:
        with translated(), _damage():
            self._file = zipfile.ZipFile(path)
        try:
            with _damage():
                self.manifest = self._manifest()
                self._members = self._check_members()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> BackupReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes of everything in it once unpacked."""
        return sum(int(about["bytes"]) for about in self._members.values())

    def check_room(self, folder: Path) -> None:
        """DiskFullError if it does not fit beside `folder`."""
        free = shutil.disk_usage(folder).free
        if self.size + SPARE > free:
            raise DiskFullError(
                "disk_full",
                f"The backup needs {self.size / 1e9:.2f} GB on the disk; {free / 1e9:.2f} GB are free.",
                "Free space on the disk that holds the home folder, then restore again.",
            )

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self._members

    def json(self, name: str) -> dict[str, Any]:
        """A JSON member, an object."""
        if self._about(name)["bytes"] > MOST_JSON:
            raise bad_backup(f"{name} is too large")
        return _object(b"".join(self._blocks(name)), name)

    def extract(self, name: str, target: Path) -> None:
        """Write a member to `target`; gone again where it is not what the manifest says."""
        with translated():
            try:
                with target.open("xb") as out:
                    for block in self._blocks(name):
                        out.write(block)
            except InvalidInputError:
                target.unlink(missing_ok=True)
                raise

    def _manifest(self) -> dict[str, Any]:
        try:
            info = self._file.getinfo(MANIFEST)
        except KeyError:
            raise bad_backup("it has no manifest") from None
        if info.file_size > MOST_MANIFEST:
            raise bad_backup("its manifest is too large")
        with self._file.open(info) as packed:
            found = _object(packed.read(MOST_MANIFEST + 1), MANIFEST)
        if found.get("format") != FORMAT:
            raise bad_backup("its manifest is of something else")
        if found.get("version") != VERSION:
            hint = "Restore it with the Engram that wrote it; if that was a newer one, update this one."
            raise InvalidInputError("other_backup", "Another version of Engram wrote this backup.", hint)
        typed(found.get("archive"), {"name": str, "description": str, "tags": list})
        listed(found, "documents")
        listed(found, "states")
        return found

    def _check_members(self) -> dict[str, dict[str, Any]]:
        members = self.manifest.get("members")
        if not isinstance(members, dict):
            raise bad_backup("it does not list its members")
        infos = self._file.infolist()
        sizes = {info.filename: info for info in infos}
        if len(sizes) != len(infos) or set(sizes) != {MANIFEST, *members}:
            raise bad_backup("its members are not those of the manifest")
        for name, about in members.items():
            typed(about, {"bytes": int, "sha256": str})
            if not _MEMBER.fullmatch(name) or sizes[name].file_size != about["bytes"]:
                raise bad_backup(f"the member {name[:80]!r} is not what the manifest says")
            if about["bytes"] > max(SMALL, MOST_RATIO * sizes[name].compress_size):
                raise bad_backup(f"the member {name[:80]!r} expands as ZIP bombs do")
        return members

    def _about(self, name: str) -> dict[str, Any]:
        if name not in self._members:
            raise bad_backup(f"the member {name[:80]!r} is missing")
        return self._members[name]

    def _blocks(self, name: str) -> Iterator[bytes]:
        about, digest, size = self._about(name), hashlib.sha256(), 0
        with _damage(), self._file.open(name) as packed:
            while block := packed.read(BLOCK):
                digest.update(block)
                size += len(block)
                if size > about["bytes"]:
                    break
                yield block
        if size != about["bytes"] or digest.hexdigest() != about["sha256"]:
            raise bad_backup(f"the member {name[:80]!r} is damaged")


def _object(raw: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise bad_backup(f"{name[:80]} is not JSON") from None
    if not isinstance(found, dict):
        raise bad_backup(f"{name[:80]} is not an object")
    return found


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise bad_backup(" ".join(str(error).split())[:150] or type(error).__name__) from error
