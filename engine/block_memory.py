"""Keys and values of layers that see the whole context, kept by blocks: what they attend to grows with it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.config import LayerConfig, ModelConfig
from engine.errors import StateError
from engine.sparse_config import MemoryConfig
from engine.spill import Page, SpillPool, SpillSettings
from engine.window_cache import Rotary
from kernels.moba import Part, TensorPart, moba_attention
from kernels.rotary import rotate

SLACK = 256
"""Places the open page grows by at least."""


class BlockMemory:
    """Rotated keys and values of a whole context, pages of whole blocks and one page that is being filled.

    Positions are the context's own; their angles are computed in float64 (`Rotary`), so they stay exact.
    """

    def __init__(
        self,
        heads: int,
        dim: int,
        kind: MemoryConfig,
        dtype: torch.dtype,
        settings: SpillSettings,
        device: torch.device,
    ) -> None:
        self.kind = kind
        self.length = 0
        self.pages: list[Page] = []
        block_bytes = 2 * heads * kind.block * dim * dtype.itemsize
        blocks = settings.page_blocks(block_bytes)
        self._page = blocks * kind.block
        self._pool = SpillPool(settings, blocks * block_bytes)
        self._open = torch.empty(2, heads, 0, dim, dtype=dtype, device=device)
        self._fill = 0
        self._means = torch.empty(heads, 0, dim, device=device)

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        rotary: Rotary,
        *,
        position: int,
        dense: bool = False,
        memory_only: bool = False,
    ) -> Tensor | None:
        """Append k, v [Hk, T, D] and return the heads [T, H, D] of queries q [H, T, D], all float32 and
        unrotated; None with `memory_only`. `dense`: every block is seen. StateError if the memory cannot
        grow, or did not once before, which leaves it behind the context's `position`.
        """
        if position != self.length:
            raise StateError(
                f"the state stopped in the middle of a text: {self.length} of {position} tokens",
                "Load it again from where it was saved.",
                "state_damaged",
            )
        block, count, outputs = self.kind.block, k.shape[1], []
        stop = 0
        while stop < count:
            start, stop = stop, min(count, stop + block - self.length % block)
            tables = rotary.tables(self.length, self.length + stop - start)
            self._append(rotate(k[:, start:stop], *tables), v[:, start:stop])
            if not memory_only:
                outputs.append(self._look(rotate(q[:, start:stop], *tables), dense))
            if self.length % block == 0:
                self._close_block()
        return None if memory_only else torch.cat(outputs)

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM and on disk."""
        return self.ram_nbytes + self.spilled_nbytes

    @property
    def ram_nbytes(self) -> int:
        """Bytes held in RAM, buffers included."""
        buffers = sum(t.numel() * t.element_size() for t in (self._open, self._means))
        return buffers + sum(page.ram_nbytes for page in self.pages)

    @property
    def spilled_nbytes(self) -> int:
        """Bytes held on disk."""
        return sum(page.nbytes - page.ram_nbytes for page in self.pages)

    def clone(self) -> "BlockMemory":
        """An independent copy, which shares the full pages."""
        return self._twin().restore(self._open[:, :, : self._fill], self._means, self.pages)

    def tensors(self) -> dict[str, Tensor]:
        """What is held besides the full pages."""
        blocks = self.length // self.kind.block
        return {"open": self._open[:, :, : self._fill], "means": self._means[:, :blocks]}

    def restore(self, opened: Tensor, means: Tensor, pages: Sequence[Page]) -> "BlockMemory":
        """Take copies of `tensors` and the pages of another memory of the same kind; StateError if they do
        not fit.
        """
        block = self.kind.block
        self._fill = opened.shape[2]
        self.length = self._fill + sum(page.shape[2] for page in pages)
        shapes = {tuple(x.shape[:2] + x.shape[3:]) for x in (self._open, opened)}
        shapes |= {(*page.shape[:2], *page.shape[3:]) for page in pages}
        kinds = {self._open.dtype, opened.dtype, *(page.dtype for page in pages)}
        whole = all(page.shape[2] == page.blocks * block for page in pages)
        expected = self.length // block if self.kind.topk is not None else 0
        if len(shapes) > 1 or len(kinds) > 1 or not whole or means.shape[1] < expected:
            raise StateError(
                "the saved keys and values do not fit this model", "Read the archive again.", "state_damaged"
            )
        self.pages = [self._pool.adopt(page) for page in pages]
        device = self._open.device
        self._open = opened.to(device, copy=True)
        self._means = means[:, :expected].to(device, copy=True)
        return self

    def _twin(self) -> "BlockMemory":
        _, heads, _, dim = self._open.shape
        return BlockMemory(heads, dim, self.kind, self._open.dtype, self._pool.settings, self._open.device)

    def _look(self, q: Tensor, dense: bool) -> Tensor:
        """Heads [T, H, D] of rotated queries whose keys are the last ones of the open page."""
        block = self.kind.block
        earlier = (self._fill - 1) // block
        parts: list[Part] = [*self.pages]
        own = self._open[:, :, earlier * block : self._fill]
        if earlier:
            parts.append(TensorPart(self._open[:, :, : earlier * block], earlier))
        topk = None if dense else self.kind.topk
        blocks = (self.length - 1) // block
        return moba_attention(q, own, parts, self._means[:, :blocks], topk)

    def _append(self, keys: Tensor, values: Tensor) -> None:
        stop = self._fill + keys.shape[1]
        if stop > self._open.shape[2]:
            size = max(stop, min(self._page, max(2 * self._fill, self._fill + SLACK)))
            grown = self._open.new_empty(*self._open.shape[:2], size, self._open.shape[3])
            grown[:, :, : self._fill] = self._open[:, :, : self._fill]
            self._open = grown
        self._open[0, :, self._fill : stop] = keys
        self._open[1, :, self._fill : stop] = values
        self.length += keys.shape[1]
        self._fill = stop

    def _close_block(self) -> None:
        """Note the block's mean; put the page away when it is full."""
        block = self.kind.block
        if self.kind.topk is not None:
            done = self.length // block
            if done > self._means.shape[1]:
                grown = self._means.new_empty(self._means.shape[0], 2 * done, self._means.shape[2])
                grown[:, : done - 1] = self._means[:, : done - 1]
                self._means = grown
            self._means[:, done - 1] = self._open[0, :, self._fill - block : self._fill].float().mean(dim=1)
        if self._fill >= self._page:
            page = self._pool.keep(self._open[:, :, : self._fill].contiguous(), self._fill // block)
            self.pages.append(page)
            self._fill = 0
            if page.ram_nbytes:
                self._open = torch.empty_like(self._open)


def block_memory(
    config: ModelConfig, layer: LayerConfig, spill: SpillSettings, dtype: torch.dtype, device: torch.device
) -> BlockMemory | None:
    """An empty memory for a layer, with its share of what all layers may hold in RAM; None if it has none."""
    if layer.memory is None:
        return None
    share = spill.share(sum(other.memory is not None for other in config.layers))
    return BlockMemory(config.num_kv_heads, config.head_dim, layer.memory, dtype, share, device)
