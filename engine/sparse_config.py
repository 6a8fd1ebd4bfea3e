"""Branches of SpikingBrain-2.0's layers: softmax over blocks of keys, and sparse states."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """Softmax attention over the whole context by blocks of `block` keys (MoBA, arXiv 2502.13189): a query
    sees its own block and `topk - 1` earlier ones; None is all of them.
    """

    block: int
    topk: int | None

    def growth_bytes_per_token(self, width: int, element_bytes: int) -> int:
        """Bytes that a token adds: its key and value, `width` numbers of `element_bytes` each, and its share
        of the block's mean key in float32.
        """
        index = 0 if self.topk is None else -(-4 * width // self.block)
        return self.key_bytes_per_token(width, element_bytes) + index

    @staticmethod
    def key_bytes_per_token(width: int, element_bytes: int) -> int:
        """Of that the key and value, which lie on disk beyond a limit."""
        return 2 * width * element_bytes


@dataclass(frozen=True, slots=True)
class SparseStateConfig:
    """Sparse state expansion (arXiv 2507.16577) over the gated delta rule: one shared state and `partitions`
    others, of which each token reads and writes `active`.
    """

    partitions: int
    active: int

    def state_bytes(self, heads: int, head_dim: int) -> int:
        """Bytes of the states, float32, the same at any length of context."""
        return 4 * (1 + self.partitions) * heads * head_dim**2

    def parameter_count(self, hidden: int, heads: int, head_dim: int) -> int:
        """Weights beside the window's: q, k, v, output, two steps of low rank, gates, router and norms."""
        width = heads * head_dim
        low = 2 * head_dim * (hidden + width)
        gates = 4 * heads * (hidden + 1) + self.partitions * hidden
        return 4 * hidden * width + low + gates + 2 * hidden + head_dim


def describe_branches(
    memories: Sequence[MemoryConfig | None], sparse: Sequence[SparseStateConfig | None]
) -> list[str]:
    """What the layers' branches are, for people."""
    parts = []
    states = [kind for kind in sparse if kind is not None]
    if states:
        parts.append(f"sparse states ({states[0].active} of {states[0].partitions}) in {len(states)} layers")
    held = [memory for memory in memories if memory is not None]
    chosen = [memory for memory in held if memory.topk is not None]
    if chosen:
        parts.append(f"{chosen[0].topk} blocks of {chosen[0].block:,} keys in {len(chosen)} layers")
    if len(held) > len(chosen):
        parts.append(f"all keys in {len(held) - len(chosen)}")
    return parts
