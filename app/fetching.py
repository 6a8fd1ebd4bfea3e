"""Getting one file of a model, by HTTP or from a disk: resumed where it stopped, and checked."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import requests

from app.errors import AppError
from storage import translated

BLOCK = 1 << 20
NETWORK_BLOCK = 1 << 16  # what a lost connection may take back
TRIES = 5
TIMEOUT_S = (10.0, 60.0)
OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to get: by `url` with `headers`, or from `path`; size and SHA-256 where they are known."""

    name: str
    size: int | None
    sha256: str | None = None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None


def fetch(file: RemoteFile, folder: Path, on_bytes: OnBytes) -> Path:
    """Have `file` in `folder`; returns its path. What an earlier attempt left in NAME.part is gone on with.

    `on_bytes` hears of every block that is new on disk and may raise to stop; the part then stays.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    with translated():
        if target.is_file() and file.size in (None, target.stat().st_size):
            return target
        if _size(part) != file.size:
            _complete(file, part, on_bytes)
        _verify(file, part, on_bytes)
        part.replace(target)
    return target


def held_bytes(file: RemoteFile, folder: Path) -> int:
    """Bytes of `file` that are in `folder` already."""
    whole = _size(folder / file.name)
    return whole or min(_size(folder / f"{file.name}.part"), file.size or 0)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _complete(file: RemoteFile, part: Path, on_bytes: OnBytes) -> None:
    """Append to the part until it is whole, patiently: a lost connection is taken up again."""
    tries, most = 0, _size(part)
    while True:
        try:
            _append(file, part, on_bytes)
            return
        except requests.RequestException as error:
            tries = 1 if _size(part) > most else tries + 1
            most = max(most, _size(part))
            if tries >= TRIES or _refused(error):
                raise _network_error(file, error) from error
            for _ in range(2**tries):
                on_bytes(0)
                time.sleep(0.25)


def _append(file: RemoteFile, part: Path, on_bytes: OnBytes) -> None:
    # Only a hash can tell that two halves belong together, so a file without one starts anew.
    held = _size(part) if file.sha256 or file.path else 0
    if file.size is not None and held > file.size:
        held = 0
    with part.open("r+b" if held else "wb") as out:
        held = out.seek(held)
        out.truncate()
        for block in _blocks(file, held, out):
            out.write(block)
            on_bytes(len(block))
        out.flush()
        os.fsync(out.fileno())


def _blocks(file: RemoteFile, held: int, out: BinaryIO) -> Iterator[bytes]:
    if file.path is not None:
        with file.path.open("rb") as source:
            source.seek(held)
            while block := source.read(BLOCK):
                yield block
        return
    headers = dict(file.headers) | {"Accept-Encoding": "identity"}
    if held:
        headers["Range"] = f"bytes={held}-"
    with requests.get(file.url, headers=headers, stream=True, timeout=TIMEOUT_S) as reply:
        if held and reply.status_code != 206:  # the server knows no ranges, or the file is another by now
            held = out.seek(0)
            out.truncate()
        if reply.status_code == 416:
            raise requests.ConnectionError("the server has less of this file than we hold")
        reply.raise_for_status()
        total = held
        for block in reply.iter_content(NETWORK_BLOCK):
            total += len(block)
            if file.size is not None and total > file.size:
                raise requests.ConnectionError("the server sends more than it announced")
            yield block


def _verify(file: RemoteFile, part: Path, on_bytes: OnBytes) -> None:
    size = _size(part)
    if file.size is not None and size != file.size:
        raise _damaged(file, part, f"it has {size:,} bytes and should have {file.size:,}")
    if file.sha256 is None:
        return
    digest = hashlib.sha256()
    with part.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
            on_bytes(0)
    if digest.hexdigest() != file.sha256:
        raise _damaged(file, part, "its SHA-256 is not the one announced")


def _damaged(file: RemoteFile, part: Path, why: str) -> AppError:
    part.unlink(missing_ok=True)
    hint = "Add the model again: the other files are kept, this one is fetched anew."
    return AppError("download_damaged", f"{file.name} arrived damaged: {why}.", hint)


def _refused(error: requests.RequestException) -> bool:
    """Whether asking again cannot help."""
    status = error.response.status_code if error.response is not None else 0
    return 400 <= status < 500 and status not in (408, 429)


def _network_error(file: RemoteFile, error: requests.RequestException) -> AppError:
    if error.response is not None and error.response.status_code in (401, 403):
        return AppError(
            "download_refused",
            f"The hub does not let you have {file.name} ({error.response.status_code}).",
            "Accept the model's terms on its page and set a token (HF_TOKEN or MODELSCOPE_API_TOKEN).",
        )
    hint = "Check the connection and add the model again: it goes on where it stopped."
    return AppError("download_failed", f"{file.name} could not be downloaded: {_short(error)}", hint)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
