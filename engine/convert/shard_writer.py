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
JOURNAL = "journal.json"


class ShardWriter:
    """Use as a context manager: `add` tensors, put further files into `folder`, then `finish`.

    Memory holds one shard, twice while it is written. Until `finish` all lies in a hidden folder beside it.
    What an interrupted run with the same `stamp` left there is gone on with: `has` tells which tensors its
    whole shards hold. Without a stamp an error or an interruption removes the folder. EngineError if `out`
    exists or the disk has less free than the rest of `total` bytes takes.
    """

    def __init__(
        self, out: Path, total: int, label: str, shard_bytes: int = SHARD_BYTES, stamp: str = ""
    ) -> None:
        self._out, self._limit, self._stamp = out, shard_bytes, stamp
        refuse_existing(out)
        self.folder = out.with_name(f".{out.name}.unfinished")
        self._journal = self.folder / JOURNAL
        self._shards, self._written = self._left_over()
        _check_room(out.parent, total - self._written)
        if not self._shards and not (stamp and self._journal.is_file()):
            shutil.rmtree(self.folder, ignore_errors=True)  # of another run that was killed
            self.folder.mkdir()
        self._done = frozenset(name for names in self._shards for name in names)
        self._label, self._total = label, total
        self._progress: Progress | None = None
        self._held: dict[str, Tensor] = {}
        self._bytes = 0
        self._note()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.close()
        begun = any(path.name != JOURNAL for path in self.folder.glob("*"))
        if not (self._stamp and begun):
            shutil.rmtree(self.folder, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):
            raise EngineError(
                f"cannot write {self._out}: {error}", "Free disk space or give another --out."
            ) from error

    def has(self, name: str) -> bool:
        """Whether an interrupted run has written this tensor; it is not to be added again."""
        return name in self._done

    def add(self, name: str, tensor: Tensor) -> None:
        """Add a tensor; it is copied, and leaves memory with its shard."""
        if self._progress is None:
            self._progress = Progress(self._label, (self._total - self._written) / 1e6, "MB")
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
            if self._part(i).is_file():  # else an interrupted run has named it so
                os.replace(self._part(i), self.folder / final)
            placed |= dict.fromkeys(names, final)
        if count > 1:
            index = {"metadata": {"total_size": self._written}, "weight_map": placed}
            (self.folder / INDEX).write_text(json.dumps(index, indent=1), "utf-8")
        (self.folder / "config.json").write_text(json.dumps(config, indent=1), "utf-8")

    def publish(self) -> None:
        """Put the folder under its name."""
        self._journal.unlink()
        self.folder.rename(self._out)

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number}.safetensors"

    def _left_over(self) -> tuple[list[list[str]], int]:
        """Names of the tensors in each whole shard of an interrupted run of this stamp, and their bytes."""
        try:
            kept = json.loads(self._journal.read_text("utf-8"))
            shards, written = [list(map(str, names)) for names in kept["shards"]], int(kept["written"])
        except (OSError, ValueError, KeyError, TypeError):
            return [], 0
        files = list(self.folder.glob("part-*.safetensors")) + list(self.folder.glob("model*.safetensors"))
        if not self._stamp or kept.get("stamp") != self._stamp or len(files) < len(shards):
            self._journal.unlink()
            return [], 0
        return shards, written

    def _note(self) -> None:
        """Write down what is whole."""
        part = self._journal.with_suffix(".part")
        kept = {"stamp": self._stamp, "shards": self._shards, "written": self._written}
        part.write_text(json.dumps(kept), "utf-8")
        os.replace(part, self._journal)

    def _flush(self) -> None:
        if not self._held:
            return
        path = self._part(len(self._shards))
        save_file(self._held, path, metadata={"format": "pt"})
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        self._shards.append(list(self._held))
        self._written += self._bytes
        self._held, self._bytes = {}, 0
        self._note()


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
