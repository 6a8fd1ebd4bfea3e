"""Converting weights that are mapped from a file without holding file and result in memory together."""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor

BLOCK_BYTES = 32_000_000
MADV_DONTNEED = 4


def converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """`tensor` [N, ...], mapped from a file, in `dtype`; itself where it is so already.

    A large one is converted by blocks of rows whose pages leave memory as soon as they are done, so loading
    never holds more than the weights and one block.
    """
    size = tensor.numel() * tensor.element_size()
    if tensor.dtype == dtype or tensor.is_meta or size <= BLOCK_BYTES:
        return tensor.to(dtype)
    out = torch.empty(tensor.shape, dtype=dtype)
    rows = max(1, len(tensor) * BLOCK_BYTES // size)
    for target, block in zip(out.split(rows), tensor.split(rows), strict=True):
        target.copy_(block)
        _give_back(block)
    return out


def _give_back(block: Tensor) -> None:
    """Drop the whole pages of a block from memory; they would be read from the file again."""
    libc = _libc()
    if libc is None or not block.is_contiguous():
        return
    start = -(-block.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (
        (block.data_ptr() + block.numel() * block.element_size() - start) // mmap.PAGESIZE * mmap.PAGESIZE
    )
    if length > 0:
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), MADV_DONTNEED)


@cache
def _libc() -> Any:
    """The C library where it has Linux's madvise; elsewhere the system drops mapped pages when it must."""
    return ctypes.CDLL(None) if sys.platform == "linux" else None
