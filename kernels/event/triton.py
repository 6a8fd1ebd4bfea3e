"""Event-driven product of one token in Triton: a list of firing channels, then their weight rows only.

Weights lie by input channel ([K, N]), so that a channel's weights are one run of memory and a silent
channel's are never touched. Pieces of the list meet in int32 additions, exact in any order.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.tuning import INTERPRETED, block_of

PIECE = 64
"""Firing channels a program works through."""


def event_linear_triton(counts: Tensor, vth: Tensor, columns: Tensor, scale: Tensor) -> Tensor:
    """As `event_linear_reference`, float32 [N]: counts int32 [K] (bursts included), columns int8 [K, N]."""
    width, outputs = columns.shape
    device = columns.device
    firing = torch.empty(width, dtype=torch.int32, device=device)
    amount = torch.empty(1, dtype=torch.int32, device=device)
    total = torch.zeros(outputs, dtype=torch.int32, device=device)
    out = torch.empty(outputs, dtype=torch.float32, device=device)
    block = 128 if INTERPRETED else 256
    _list[(1,)](counts, firing, amount, width, BLOCK=block_of(width))
    grid = (triton.cdiv(outputs, block), triton.cdiv(width, PIECE))
    _add[grid](counts, firing, amount, columns, total, outputs, columns.stride(0), PIECE=PIECE, BN=block)
    _scale[(triton.cdiv(outputs, 1024),)](total, scale, vth, out, outputs, BN=1024)
    return out


@triton.jit
def _list(counts, firing, amount, width, BLOCK: tl.constexpr):
    """The channels that fire, in order, and how many there are."""
    channel = tl.arange(0, BLOCK)
    fires = tl.load(counts + channel, mask=channel < width, other=0) != 0
    place = tl.cumsum(fires.to(tl.int32), axis=0) - 1
    tl.store(firing + place, channel, mask=fires)
    tl.store(amount, tl.sum(fires.to(tl.int32), axis=0))


@triton.jit
def _add(counts, firing, amount, columns, total, outputs, c_row, PIECE: tl.constexpr, BN: tl.constexpr):
    """The weighted sum of one piece of the list for some outputs."""
    column = tl.program_id(0) * BN + tl.arange(0, BN)
    start = tl.program_id(1) * PIECE
    stop = tl.minimum(start + PIECE, tl.load(amount))
    if start < stop:
        sums = tl.full([BN], 0, tl.int32)
        for slot in range(start, stop):
            channel = tl.load(firing + slot).to(tl.int64)
            weights = tl.load(columns + channel * c_row + column, mask=column < outputs, other=0)
            sums += tl.load(counts + channel) * weights.to(tl.int32)
        tl.atomic_add(total + column, sums, mask=column < outputs)


@triton.jit
def _scale(total, scale, vth, out, outputs, BN: tl.constexpr):
    column = tl.program_id(0) * BN + tl.arange(0, BN)
    held = column < outputs
    value = tl.load(total + column, mask=held, other=0).to(tl.float32)
    value = value * tl.load(scale + column, mask=held, other=0.0) * tl.load(vth)
    tl.store(out + column, value, mask=held)
