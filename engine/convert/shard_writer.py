"""Writing a checkpoint folder shard by shard: whole under its name, or not there at all."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from engine.convert.progress import Progress
from engine.errors import EngineError
from engine.shards import INDEX, SINGLE

SHARD_BYTES = 1 << 30


class ShardWriter:
    """Use as a context manager: `add` tensors, put further files into `folder`, then `finish`.

    Memory holds one shard, twice while it is written. Until `finish` all lies in a hidden folder beside it,
    which an error or an interruption removes. EngineError if `out` exists or the disk has less than `total`
    bytes free.
    """

    def __init__(self, out: Path, total: int, label: str, shard_bytes: int = SHARD_BYTES) -> None:
        self._out, self._limit = out, shard_bytes
        refuse_existing(out)
        _check_room(out.parent, total)
        self.folder = out.with_name(f".{out.name}.unfinished")
        shutil.rmtree(self.folder, ignore_errors=True)  # of a run that was killed
        self.folder.mkdir()
        self._label, self._total = label, total
        self._progress: Progress | None = None
        self._held: dict[str, Tensor] = {}
        self._bytes = 0
        self._shards: list[list[str]] = []
        self._written = 0

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):
            raise EngineError(
                f"cannot write {self._out}: {error}", "Free disk space or give another --out."
            ) from error

    def add(self, name: str, tensor: Tensor) -> None:
        """Add a tensor; it is copied, and leaves memory with its shard."""
        if self._progress is None:
            self._progress = Progress(self._label, self._total / 1e6, "MB")
        size = tensor.numel() * tensor.element_size()
        if self._held and self._bytes + size > self._limit:
            self._flush()
        self._held[name] = tensor.contiguous().clone()
        self._bytes += size
        self._progress.add(size / 1e6)

    def finish(self, config: Mapping[str, Any]) -> None:
        """`seal`, then `publish`."""
        self.seal(config)
        self.publish()

    def seal(self, config: Mapping[str, Any]) -> None:
        """Write the last shard, the index and config.json: `folder` is then a checkpoint."""
        self._flush()
        count = len(self._shards)
        placed: dict[str, str] = {}
        for i, names in enumerate(self._shards):
            final = SINGLE if count == 1 else f"model-{i + 1:05d}-of-{count:05d}.safetensors"
            os.replace(self._part(i), self.folder / final)
            placed |= dict.fromkeys(names, final)
        if count > 1:
            index = {"metadata": {"total_size": self._written}, "weight_map": placed}
            (self.folder / INDEX).write_text(json.dumps(index, indent=1), "utf-8")
        (self.folder / "config.json").write_text(json.dumps(config, indent=1), "utf-8")

    def publish(self) -> None:
        """Put the folder under its name."""
        self.folder.rename(self._out)

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number}.safetensors"

    def _flush(self) -> None:
        path = self._part(len(self._shards))
        save_file(self._held, path, metadata={"format": "pt"})
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        self._shards.append(list(self._held))
        self._written += self._bytes
        self._held, self._bytes = {}, 0


def refuse_existing(out: Path) -> None:
    """EngineError if there is something at `out`."""
    if out.exists():
        raise EngineError(f"{out} exists already", "Give another --out, or remove it.", "output_exists")


def _check_room(parent: Path, total: int) -> None:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
    except OSError as error:
        raise EngineError(f"cannot write to {parent}: {error}", "Give another --out.") from error
    if free < total:
        raise EngineError(
            f"the result takes {total / 1e9:.1f} GB, {parent} has {free / 1e9:.1f} GB free",
            "Free disk space or give another --out.",
            "disk_full",
        )
