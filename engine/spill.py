"""Where memory that grows with the context lies: in RAM up to a limit, beyond it in a file without a name."""

import errno
import mmap
import os
import tempfile
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import torch
from torch import Tensor

from engine.errors import StateError

DEFAULT_LIMIT = 1 << 30
PAGE_BYTES = 16 << 20
OPEN_SHARE = 4
"""One in so many bytes of the limit is for the page that is being filled, but a block at least."""
DELETES_OPEN_FILES = os.name != "nt"


@dataclass(frozen=True, slots=True)
class SpillSettings:
    """`limit_bytes` of keys and values stay in RAM, the rest goes to a file in `folder`."""

    limit_bytes: int
    folder: Path

    @classmethod
    def default(cls, folder: Path | None = None) -> Self:
        """$ENGRAM_MEMORY_MB, else 1 GiB; $ENGRAM_SPILL_DIR, else `folder`, else the states below
        $ENGRAM_HOME, else the system's place for temporary files. StateError if the first is no number.
        """
        given = os.environ.get("ENGRAM_MEMORY_MB", "")
        if given and not given.isdecimal():
            raise StateError(
                f"ENGRAM_MEMORY_MB = {given!r} is not a whole number of megabytes", "Correct or unset it."
            )
        home = os.environ.get("ENGRAM_HOME")
        usual = folder or (Path(home).expanduser() / "states" if home else tempfile.gettempdir())
        chosen = Path(os.environ.get("ENGRAM_SPILL_DIR") or usual)
        return cls(int(given) << 20 if given else DEFAULT_LIMIT, chosen)

    def share(self, layers: int) -> "SpillSettings":
        """What one of so many layers may use."""
        return SpillSettings(self.limit_bytes // max(1, layers), self.folder)

    def page_blocks(self, block_bytes: int) -> int:
        """How many blocks of that size make a page."""
        return max(1, min(PAGE_BYTES, self.limit_bytes // OPEN_SHARE) // block_bytes)


class RamPage:
    """Keys and values of whole blocks in RAM; never changed, so that copies of a state share it."""

    def __init__(self, both: Tensor, blocks: int) -> None:
        self._both = both
        self._crc: int | None = None
        self.blocks = blocks
        self.shape, self.dtype = tuple(both.shape), both.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        return self._both.numel() * self._both.element_size()

    @property
    def ram_nbytes(self) -> int:
        """Bytes of it in RAM."""
        return self.nbytes

    @property
    def crc(self) -> int:
        """CRC-32 of the bytes."""
        if self._crc is None:
            self._crc = checksum(self._both)
        return self._crc

    def load(self) -> Tensor:
        """Keys and values [2, Hk, blocks * C, D]."""
        return self._both


class SharedFile:
    """An open file, closed when the last page that lies in it is gone."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        weakref.finalize(self, file.close)


class FilePage:
    """The same in a file, mapped for as long as somebody looks at it; its checksum is verified once.

    `borrowed`: the file is a saved state, which its owner may delete.
    """

    ram_nbytes = 0

    def __init__(
        self,
        file: SharedFile,
        offset: int,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        blocks: int,
        crc: int,
        borrowed: bool = False,
    ) -> None:
        self._file, self._offset = file, offset
        self.borrowed = borrowed
        self._verified = False
        self.shape, self.dtype, self.blocks, self.crc = shape, dtype, blocks, crc

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    def load(self) -> Tensor:
        """See `RamPage`; StateError if the file does not hold what was written."""
        skip = self._offset % mmap.ALLOCATIONGRANULARITY
        try:
            mapped = mmap.mmap(
                self._file.file.fileno(),
                skip + self.nbytes,
                access=mmap.ACCESS_COPY,
                offset=self._offset - skip,
            )
        except (OSError, ValueError) as error:
            raise _damaged(str(error)) from error
        both = torch.frombuffer(mapped, dtype=torch.uint8, count=self.nbytes, offset=skip)
        both = both.view(self.dtype).view(self.shape)
        if not self._verified:
            if checksum(both) != self.crc:
                raise _damaged("its checksum differs")
            self._verified = True
        return both


Page = RamPage | FilePage


class SpillPool:
    """Keeps pages; its file vanishes with the last page in it, and with the process if that crashes."""

    def __init__(self, settings: SpillSettings, open_bytes: int) -> None:
        """`open_bytes`: what the page that is being filled may take of the limit."""
        self.settings = settings
        self._free = settings.limit_bytes - open_bytes
        self._file: SharedFile | None = None
        self._end = 0

    def keep(self, both: Tensor, blocks: int) -> Page:
        """A page of `both` [2, Hk, blocks * C, D]: in RAM (`both` itself) while the limit allows, else in the
        file; StateError if that cannot be written.
        """
        page = RamPage(both, blocks)
        if page.nbytes <= self._free:
            return self.adopt(page)
        both = both.cpu().contiguous()
        offset = self._write(both)
        assert self._file is not None
        return FilePage(self._file, offset, page.shape, page.dtype, blocks, checksum(both))

    def adopt(self, page: Page) -> Page:
        """Keep a page of another state or of a saved one; copied only where open files cannot be deleted."""
        if isinstance(page, FilePage) and page.borrowed and not DELETES_OPEN_FILES:
            return self.keep(page.load().clone(), page.blocks)
        self._free -= page.ram_nbytes
        return page

    def _write(self, both: Tensor) -> int:
        offset = -(-self._end // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        try:
            if self._file is None:
                self.settings.folder.mkdir(parents=True, exist_ok=True)
                folder = self.settings.folder
                self._file = SharedFile(tempfile.TemporaryFile(dir=folder, buffering=0))  # noqa: SIM115
            self._file.file.seek(offset)
            left = raw_bytes(both)
            while left:
                left = left[self._file.file.write(left) :]
        except OSError as error:
            raise self._refused(error) from error
        self._end = offset + both.numel() * both.element_size()
        return offset

    def _refused(self, error: OSError) -> StateError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint, why = "Free disk space, or name" if full else "Name", error.strerror or error
        return StateError(
            f"the model's growing memory cannot be written to {self.settings.folder}: {why}",
            f"{hint} a folder on a disk with room in ENGRAM_SPILL_DIR. Saved states are whole.",
            "disk_full" if full else "spill_refused",
        )


def raw_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor."""
    return tensor.view(-1).view(torch.uint8).numpy().data


def checksum(tensor: Tensor) -> int:
    """CRC-32 of a tensor's bytes."""
    return zlib.crc32(raw_bytes(tensor.cpu().contiguous()))


def _damaged(why: str) -> StateError:
    return StateError(
        f"a file of the model's growing memory is damaged: {why}",
        "Delete the saved state; reading goes on from an older checkpoint.",
        "state_damaged",
    )
