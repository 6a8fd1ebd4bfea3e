"""Unpacking ZIP archives into files under neutral names, with every bad member told apart."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from storage.ingest.folders import is_hidden
from storage.ingest.formats import check_directory, is_archive
from storage.ingest.names import sanitize_name
from storage.ingest.parsed import ParseFailure, ParseLimits

_BLOCK = 1024 * 1024
_SMALL = 10_000_000


def unpack(path: Path, name: str, into: Path, limits: ParseLimits) -> list[dict[str, Any]]:
    """Unpack; returns {"file": name inside `into` or None, "name": shown, "error": None or why not}."""
    unpacking = _Unpacking(into, limits)
    unpacking.add_archive(path, sanitize_name(name), 1)
    if not unpacking.found:
        raise ParseFailure("failed", "The ZIP archive is empty", "Check that it was saved completely.")
    return unpacking.found


class _Unpacking:
    def __init__(self, into: Path, limits: ParseLimits) -> None:
        self.found: list[dict[str, Any]] = []
        self._into = into
        self._limits = limits
        self._written = 0
        self._files = 0
        self._full = False

    def add_archive(self, path: Path, name: str, depth: int) -> None:
        check_directory(path)
        try:
            with zipfile.ZipFile(path) as archive:
                self._add_members(archive, name, depth)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeError) as error:
            raise ParseFailure(
                "failed", f"The ZIP archive is damaged or incomplete ({error})", "Download or copy it again."
            ) from error

    def _add_members(self, archive: zipfile.ZipFile, name: str, depth: int) -> None:
        for member in archive.infolist():
            if self._full:
                return
            inner = _decoded_name(member)
            if member.is_dir() or any(
                is_hidden(part) for part in re.split(r"[/\\]", inner) if part not in (".", "..")
            ):
                continue
            shown = sanitize_name(f"{name}/{inner}")
            if len(self.found) >= self._limits.members:
                self._stop(
                    name, f"The archive holds more than {self._limits.members:,} files; the rest was not read"
                )
                return
            error = self._refusal(member, inner)
            if error:
                self._report(None, shown, error)
            else:
                self._extract(archive, member, shown, depth)

    def _refusal(self, member: zipfile.ZipInfo, inner: str) -> str | None:
        if inner.startswith(("/", "\\")) or inner[1:2] == ":" or ".." in inner.replace("\\", "/").split("/"):
            return "Its name points outside the archive; it was not unpacked"
        if stat.S_ISLNK(member.external_attr >> 16):
            return "It is a link to another file, not a file"
        if member.flag_bits & 1:
            return "It is protected with a password"
        if member.file_size > _SMALL and member.file_size > self._limits.ratio * max(1, member.compress_size):
            return f"It expands more than {self._limits.ratio:,} times, as ZIP bombs do"
        return None

    def _extract(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, shown: str, depth: int) -> None:
        self._files += 1
        target = self._into / f"{self._files:06d}"
        try:
            with archive.open(member) as packed, target.open("wb") as file:
                for block in self._blocks(packed, member):
                    file.write(block)
        except ParseFailure as failure:
            target.unlink(missing_ok=True)
            self._report(None, shown, failure.error)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            target.unlink(missing_ok=True)
            self._report(None, shown, f"It is damaged ({str(error)[:150]})")
        else:
            self._finish(target, shown, depth)

    def _blocks(self, packed: Any, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """Read in blocks and believe no declared size."""
        size = 0
        while block := packed.read(_BLOCK):
            size += len(block)
            self._written += len(block)
            if self._written > self._limits.expanded_mb * 1_000_000:
                self._full = True
                raise ParseFailure(
                    "failed",
                    f"The archive expands to over {self._limits.expanded_mb:,} MB; the rest was not read",
                )
            if size > _SMALL and size > self._limits.ratio * max(1, member.compress_size):
                raise ParseFailure(
                    "failed", f"It expands more than {self._limits.ratio:,} times, as ZIP bombs do"
                )
            yield block

    def _finish(self, target: Path, shown: str, depth: int) -> None:
        if not is_archive(target):
            self._report(target.name, shown, None)
            return
        try:
            if depth >= self._limits.depth:
                raise ParseFailure(
                    "failed", f"ZIP archives inside each other deeper than {self._limits.depth}"
                )
            self.add_archive(target, shown, depth + 1)
        except ParseFailure as failure:
            self._report(None, shown, failure.error)
        finally:
            target.unlink(missing_ok=True)

    def _stop(self, name: str, error: str) -> None:
        self._full = True
        self._report(None, name, error)

    def _report(self, file: str | None, name: str, error: str | None) -> None:
        self.found.append({"file": file, "name": name, "error": error})


def _decoded_name(member: zipfile.ZipInfo) -> str:
    """Names without the UTF-8 mark are often UTF-8 all the same."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename
