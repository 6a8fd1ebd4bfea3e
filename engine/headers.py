"""A checkpoint's tensors by name, shape and dtype alone: the headers of its files, not a byte of weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from engine.errors import ModelError
from engine.gguf_source import GgufSource, gguf_name
from engine.shards import locate_tensors
from engine.sources import FLOATS, INDICES, check_tensor

SCALES = ".weight_quantizer.scales"
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


@dataclass(frozen=True, slots=True)
class Header:
    """One tensor as its file announces it."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    file: Path

    @property
    def count(self) -> int:
        """Number of its elements."""
        return torch.Size(self.shape).numel()


@dataclass(slots=True)
class HeaderSource:
    """An `engine.weights.Source` on the meta device; what is amiss goes into `problems`, nothing is raised.

    Integers are read (they say how the model is built); everything else stays on disk.
    """

    headers: dict[str, Header]
    problems: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def take(self, name: str, *shape: int, dtypes: Sequence[torch.dtype] = FLOATS) -> Tensor:
        """See `Source`; a tensor that is missing or wrong comes in the shape asked for."""
        header = self.headers.get(self._key(name))
        self.taken.add(self._key(name))
        if header is None:
            self.problems.append(f"the tensor {name!r} is missing")
            return torch.zeros(shape or (1,), dtype=dtypes[0], device="cpu" if dtypes == INDICES else "meta")
        if header.dtype in INDICES and header.file.suffix == ".safetensors":
            with safe_open(str(header.file), framework="pt") as file:
                return file.get_tensor(name)
        found = torch.empty(header.shape, dtype=header.dtype, device="meta")
        try:
            check_tensor(name, found, shape, dtypes)
        except ModelError as error:
            self.problems.append(error.message)
            kind = header.dtype if header.dtype in dtypes else dtypes[0]
            return torch.empty(shape or header.shape, dtype=kind, device="meta")
        return found

    def has(self, name: str) -> bool:
        """See `Source`."""
        return self._key(name) in self.headers

    def skip(self, name: str) -> None:
        """See `Source`."""
        self.taken.add(self._key(name))

    def finish(self) -> None:
        """Note what no part of the model asked for, and linear layers without the scales their kind has."""
        spare = sorted(set(self.headers) - self.taken)
        self.problems += [f"the tensor {name!r} is not part of this architecture" for name in spare]
        scaled = {_kind(name) for name in self.headers if name.endswith(SCALES)}
        for name in sorted(self.headers):
            scales = name.removesuffix(".weight") + SCALES
            if name.endswith(".weight") and _kind(scales) in scaled and scales not in self.headers:
                self.problems.append(f"the tensor {scales!r} is missing")

    def _key(self, name: str) -> str:
        return name if name in self.headers else gguf_name(name)


def read_headers(folder: Path) -> HeaderSource:
    """The safetensors of a folder; ModelError where a file is missing, damaged or shorter than it says."""
    headers: dict[str, Header] = {}
    home = locate_tensors(folder)
    for path in sorted(set(home.values())):
        with safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - a safetensors file is no mapping
                part = file.get_slice(name)
                kind = DTYPES.get(part.get_dtype())
                if kind is None:
                    raise ModelError(
                        f"tensor {name!r} holds {part.get_dtype()}, which Engram does not run",
                        f"It takes {', '.join(DTYPES)}.",
                    )
                headers[name] = Header(tuple(part.get_shape()), kind, path)
    return HeaderSource(headers)


def gguf_headers(source: GgufSource) -> HeaderSource:
    """The tensors of a GGUF file; they are taken as float32, whatever form they are stored in."""
    path = source.files[0]
    return HeaderSource(
        {
            item.name: Header(tuple(int(n) for n in reversed(item.shape)), torch.float32, path)
            for item in source.reader.tensors
        }
    )


def _kind(name: str) -> str:
    """The name without the number of its layer."""
    return re.sub(r"\.\d+\.", ".#.", name)
