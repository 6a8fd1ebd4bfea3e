"""Earlier keys and values as block attention takes them: parts of whole blocks, fetched when needed."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Part(Protocol):
    """A run of whole blocks, on disk perhaps."""

    @property
    def blocks(self) -> int:
        """How many."""

    def load(self) -> Tensor:
        """Keys and values [2, Hk, blocks * C, D]; not kept by the caller."""


@dataclass(frozen=True, slots=True)
class TensorPart:
    """A part in memory: `both` holds keys and values [2, Hk, blocks * C, D]."""

    both: Tensor
    blocks: int

    def load(self) -> Tensor:
        """See `Part`."""
        return self.both
