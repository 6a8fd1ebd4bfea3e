"""A saved state on disk: safetensors written piece by piece, so that a large memory is never twice in RAM."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.spill import FilePage, Page, SharedFile, raw_bytes

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int8: "I8",
}
DTYPES = {name: dtype for dtype, name in NAMES.items()}


def write_tensors(path: Path, named: Mapping[str, Tensor | Page], meta: Mapping[str, str]) -> None:
    """Write atomically: a crash or a full disk leaves the older file or none. OSError passes through."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for piece in _pieces(named, meta):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def open_pages(path: Path, marks: Mapping[str, tuple[int, int]]) -> dict[str, Page]:
    """The named tensors of a saved state as pages that stay in its file; each is read once and verified.

    `marks`: checksum and number of blocks of each. KeyError, ValueError or OSError if they are not there.
    """
    if not marks:
        return {}
    held = SharedFile(open(path, "rb", buffering=0))  # noqa: SIM115
    size = int.from_bytes(held.file.read(8), "little")
    header = json.loads(held.file.read(size))
    pages: dict[str, Page] = {}
    for name, (crc, blocks) in marks.items():
        spec = header[name]
        shape, start = tuple(spec["shape"]), 8 + size + spec["data_offsets"][0]
        page = FilePage(held, start, shape, DTYPES[spec["dtype"]], blocks, crc, borrowed=True)
        page.load()
        pages[name] = page
    return pages


def _pieces(named: Mapping[str, Tensor | Page], meta: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    # Wide elements first, as safetensors has it: every tensor then lies at a multiple of its element size.
    names = sorted(named, key=lambda name: (-named[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(meta)}
    end = 0
    for name in names:
        shape, dtype = tuple(named[name].shape), named[name].dtype
        start, end = end, end + torch.Size(shape).numel() * dtype.itemsize
        header[name] = {"dtype": NAMES[dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for name in names:
        item = named[name]
        tensor = item if isinstance(item, Tensor) else item.load()
        yield raw_bytes(tensor.cpu().contiguous())
