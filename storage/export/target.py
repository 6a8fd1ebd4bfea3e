"""The file an export goes to: which format its name asks for, and writing it whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from storage.errors import InvalidInputError, NotFoundError, translated
from storage.files import sync_folder

Writer = TypeVar("Writer")


def writer_for(formats: Mapping[str, Writer], target: Path, format: str | None = None) -> Writer:
    """What writes the format that is given or that the name's ending tells; an unknown one is an error."""
    suffix = (format or target.suffix).lower().lstrip(".")
    write = formats.get(suffix)
    if write is None:
        known = ", ".join(f".{name}" for name in formats)
        what = f".{suffix} files" if suffix else "a name without an ending"
        raise InvalidInputError("unknown_format", f"Cannot export to {what}.", f"Choose one of {known}.")
    if not target.parent.is_dir():
        raise NotFoundError(
            "folder_missing", f"No such folder: {target.parent}", "Make it, or choose another."
        )
    return write


def write_whole(target: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary file beside the target, then take its place."""
    with translated():
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".export-")
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.chmod(0o644)
            temporary.replace(target)
            sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
