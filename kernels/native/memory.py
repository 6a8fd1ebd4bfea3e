"""Memory for weights in huge pages, where the system has them."""

import mmap
from contextlib import suppress

import torch
from torch import Tensor

BLOCK = 32 << 20
LINE = 64


class Arena:
    """Hands out int8 matrices from blocks of memory in huge pages.

    One token's products walk through all weights at memory speed; in pages of 4 KiB they wait for the page
    table as well (a quarter of their time). A block goes when the last matrix in it does.
    """

    def __init__(self) -> None:
        self._block = torch.empty(0, dtype=torch.int8)
        self._used = 0

    def empty(self, rows: int, columns: int) -> Tensor:
        """An uninitialised, contiguous int8 [rows, columns] that starts at a cache line."""
        count = rows * columns
        if self._used + count > len(self._block):
            self._block, self._used = _huge(max(count, BLOCK)), 0
        found = self._block[self._used : self._used + count].view(rows, columns)
        self._used += -(-count // LINE) * LINE
        return found


def _huge(count: int) -> Tensor:
    """int8 [count] in memory of its own, in huge pages if the system gives them."""
    if not count:
        return torch.empty(0, dtype=torch.int8)
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(count, dtype=torch.int8)
    memory = mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.int8)
