"""Spike encoding in Triton, fused with RMSNorm: counts, threshold and bursts in one pass over a token.

Bursts stay on the device without asking how many there are: each token lists its channels above 127.
Counts of a token sum to about k K, so no more than k K / 127.5 channels can burst; where the upper clip of
the threshold breaks that bound (a mean above 10,000 k) the token's threshold becomes NaN, so that nothing is
lost unseen.
"""

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.spike.cpu import COUNT_LIMIT, Spikes
from kernels.spike.reference import THRESHOLD_MAX, THRESHOLD_MIN
from kernels.tuning import INTERPRETED, block_of

LOWEST = tl.constexpr(THRESHOLD_MIN)
HIGHEST = tl.constexpr(THRESHOLD_MAX)
LIMIT = tl.constexpr(float(COUNT_LIMIT))
WORD = tl.constexpr(2147483520.0)
MAGIC = tl.constexpr(12582912.0)
STRIDE = 32
"""Every 32nd token is counted for the shares of spikes, as on the CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSpikes(Spikes):
    """Spikes whose bursts are listed by token: `amount` int32 [T] of them, at `channels` int32 [T, C], beyond
    `low` by `rest` int32 [T, C].
    """

    amount: Tensor
    channels: Tensor
    rest: Tensor

    def counts(self, rows: slice = slice(None)) -> Tensor:
        """See `Spikes`."""
        total = self.low[rows].to(torch.int32)
        amount, channels, rest = self.amount[rows], self.channels[rows].long(), self.rest[rows]
        listed = torch.arange(channels.shape[1], device=total.device) < amount[:, None]
        zero = torch.zeros_like(channels)
        beyond = torch.where(listed, rest, torch.zeros_like(rest))
        return total.scatter_add_(1, torch.where(listed, channels, zero), beyond)


def encode_triton(x: Tensor, k: float, weight: Tensor | None = None, eps: float = 0.0) -> ListedSpikes:
    """Spike counts of `x` [T, K] float32 or bfloat16, or of its RMSNorm with `weight` float32 [K]."""
    x = x if x.stride(-1) == 1 else x.contiguous()
    rows, width = x.shape
    new: dict[str, Any] = {"dtype": torch.int32, "device": x.device}
    room = block_of(int(k * width / (COUNT_LIMIT + 0.5)) + 1, 4)
    spikes = ListedSpikes(
        low=torch.empty(rows, width, dtype=torch.int8, device=x.device),
        vth=torch.empty(rows, 1, dtype=torch.float32, device=x.device),
        amount=torch.empty(rows, **new),
        channels=torch.empty(rows, room, **new),
        rest=torch.empty(rows, room, **new),
        fired=torch.empty(triton.cdiv(rows, STRIDE), 2, **new),
    )
    if rows == 0:
        return spikes
    block = block_of(width)
    tokens = 128 if INTERPRETED else max(1, 1024 // block)
    _encode[(triton.cdiv(rows, tokens),)](
        x, x if weight is None else weight, spikes.low, spikes.vth, spikes.amount, spikes.channels,
        spikes.rest, spikes.fired, x.stride(0), rows, width, 1.0 / k, eps,
        NORM=weight is not None, ROOM=room, STRIDE=STRIDE, ROWS=tokens, BLOCK=block,
        num_warps=4 if block <= 4096 else 8 if block <= 8192 else 16,
    )  # fmt: skip
    return spikes


@triton.jit
def _encode(
    x, weight, low, vths, amounts, channels, rests, fired, x_row, rows, width, share, eps,
    NORM: tl.constexpr, ROOM: tl.constexpr, STRIDE: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    channel = tl.arange(0, BLOCK)
    there = row < rows
    held = there[:, None] & (channel[None, :] < width)
    value = tl.load(x + row[:, None] * x_row + channel[None, :], mask=held, other=0.0).to(tl.float32)
    if NORM:
        mean = tl.sum(value * value, axis=1) / width
        inverse = tl.div_rn(1.0, tl.sqrt_rn(mean + eps))
        value = value * tl.load(weight + channel, mask=channel < width, other=0.0)[None, :]
        vth = tl.sum(tl.abs(value), axis=1) / width * share * inverse
        vth = tl.minimum(tl.maximum(vth, LOWEST), HIGHEST)
        value = value * tl.div_rn(inverse, vth)[:, None]
    else:
        vth = tl.sum(tl.abs(value), axis=1) / width * share
        vth = tl.minimum(tl.maximum(vth, LOWEST), HIGHEST)
        value = tl.div_rn(value, vth[:, None])
    # Halves to even by adding and taking away 1.5 * 2^23; what is as large as that has no fraction.
    value = tl.where(tl.abs(value) < 4194304.0, (value + MAGIC) - MAGIC, value)
    count = tl.minimum(tl.maximum(value, -WORD), WORD).to(tl.int32)
    size = tl.abs(count)
    loud = size > 127
    held_count = tl.minimum(tl.maximum(count, -127), 127)
    place = row[:, None] * width + channel[None, :]
    tl.store(low + place, held_count.to(tl.int8), mask=held)
    amount = tl.sum(loud.to(tl.int32), axis=1)
    tl.store(amounts + row, tl.minimum(amount, ROOM), mask=there)
    tl.store(vths + row, tl.where(amount > ROOM, float("nan"), vth), mask=there)
    if tl.max(amount, axis=0) > 0:
        slot = tl.cumsum(loud.to(tl.int32), axis=1) - 1
        listed = row[:, None] * ROOM + slot
        fits = loud & (slot < ROOM)
        tl.store(channels + listed, channel[None, :] + tl.full([ROWS, 1], 0, tl.int32), mask=fits)
        tl.store(rests + listed, count - held_count, mask=fits)
    sampled = there & (row % STRIDE == 0)
    # Set bits of |count|, in parallel within the word.
    bits = size - ((size >> 1) & 0x55555555)
    bits = (bits & 0x33333333) + ((bits >> 2) & 0x33333333)
    bits = (bits + (bits >> 4)) & 0x0F0F0F0F
    bits = (bits + (bits >> 8) + (bits >> 16) + (bits >> 24)) & 0x3F
    silent = tl.sum((held & (count == 0)).to(tl.int32), axis=1)
    tl.store(fired + row // STRIDE * 2, tl.sum(bits, axis=1), mask=sampled)
    tl.store(fired + row // STRIDE * 2 + 1, silent, mask=sampled)
