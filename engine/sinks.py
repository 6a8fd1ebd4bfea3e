"""Learnable sink tokens: places before every context, seen by each of its tokens in every layer."""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.window_cache import Rotary
from kernels.rotary import rotate
from kernels.window import Sinks

EVERYWHERE = 1 << 40
"""A place so late that every sink lies behind every window: all are seen."""


class LearnedSinks:
    """One layer's sink keys and values [Hk, S, D]. They depend on the weights alone, never on a text.

    Sink i stands at position i - S. Once a window slides, a query keeps the distance to the sinks that it has
    at the window's length, so their angles stay small at any length of context.
    """

    def __init__(self) -> None:
        self.keys = torch.empty(0)
        self.values = torch.empty(0)

    def read(self, q: Tensor, k: Tensor, v: Tensor, rotary: Rotary, dtype: torch.dtype) -> Tensor:
        """Keep k, v [Hk, S, D] in `dtype`; the sinks' own heads [S, H, D], all seeing all."""
        tables = rotary.tables(-k.shape[1], 0)
        self.keys, self.values = rotate(k, *tables).to(dtype), v.to(dtype)
        group = len(q) // len(k)
        keys, values = (x.float().repeat_interleave(group, dim=0) for x in (self.keys, self.values))
        return F.scaled_dot_product_attention(rotate(q, *tables), keys, values).transpose(0, 1)

    def seen_by(self, q: Tensor, position: int, left: int, rotary: Rotary) -> Sinks:
        """For unrotated queries [H, T, D] from `position` on, in a window of `left` keys (-1 is all)."""
        stop = position + q.shape[1]
        if left < 0 or stop <= left:
            tables = rotary.tables(position, stop)
        else:
            first = min(position, left)
            cos, sin = rotary.tables(first, left + 1)
            place = torch.arange(position, stop, device=cos.device).clamp_(max=left) - first
            tables = cos[place], sin[place]
        return Sinks(self.keys, self.values, rotate(q, *tables), EVERYWHERE)
