"""Spike encoding for INT8 products: counts in INT8, bursts in further base-128 digits over few channels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.spike.reference import THRESHOLD_MAX, THRESHOLD_MIN

COUNT_LIMIT = 127
DIGIT = 128


@dataclass(frozen=True, slots=True)
class Burst:
    """One higher digit of the counts: `digits` int8 [R, C] at the tokens `rows` [R] and `channels` [C] that
    burst, worth `weight` each.
    """

    rows: Tensor
    channels: Tensor
    digits: Tensor
    weight: int


@dataclass(frozen=True, slots=True)
class Spikes:
    """Counts of T tokens over K channels: `low` int8 [T, K] plus `bursts`; `vth` float32 [T, 1] is what a
    spike is worth. `fired` int32 [samples, 2], where a kernel counted them: set bits and silent channels of
    every 32nd token.
    """

    low: Tensor
    vth: Tensor
    bursts: tuple[Burst, ...] = ()
    fired: Tensor | None = None

    def counts(self, rows: slice = slice(None)) -> Tensor:
        """All counts as int32 [T, K], or those of some tokens."""
        if not self.bursts:
            return self.low[rows].to(torch.int32)
        total = self.low.to(torch.int32)
        for burst in self.bursts:
            total[burst.rows[:, None], burst.channels] += burst.digits.to(torch.int32) * burst.weight
        return total[rows]

    def spike_total(self) -> int:
        """Sum of |counts|: the number of spikes fired."""
        return int(self.counts().abs().sum(dtype=torch.int64))

    def silent_total(self) -> int:
        """Number of (token, channel) places that fire no spike."""
        return self.low.numel() - int(torch.count_nonzero(self.counts()))


def encode(x: Tensor, k: float) -> Spikes:
    """Spike-code `x` [T, K] (any float dtype; computed in float32) with threshold factor `k`."""
    x = x.float()
    vth = x.abs().mean(dim=-1, keepdim=True).div_(k).clamp_(THRESHOLD_MIN, THRESHOLD_MAX)
    return split_counts((x / vth).round_(), vth)


def norm_encode(x: Tensor, weight: Tensor, eps: float, k: float) -> Spikes:
    """RMSNorm followed by `encode`: `x` float32 [T, K], `weight` float32 [K].

    The count does not depend on the norm's scale (the threshold scales with it), so the normalised
    tensor is never written; the scale enters `vth` alone. Where the clip of the threshold binds, it is
    undone.
    """
    inverse_rms = (
        torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
    )
    shaped = x * weight
    vth = (
        shaped.abs().mean(dim=-1, keepdim=True).div_(k).mul_(inverse_rms).clamp_(THRESHOLD_MIN, THRESHOLD_MAX)
    )
    return split_counts(shaped.mul_(inverse_rms / vth).round_(), vth)


def split_counts(counts: Tensor, vth: Tensor) -> Spikes:
    """Counts (integers in float32 [T, K], overwritten) as INT8 digits: `low` and, above 127, bursts."""
    loud = counts.abs() > COUNT_LIMIT
    rows = loud.any(dim=1).nonzero().flatten()
    if rows.numel() == 0:
        return Spikes(counts.to(torch.int8), vth)
    channels = pad_channels(loud.any(dim=0).nonzero().flatten(), counts.shape[1])
    place = (rows[:, None], channels)
    rest = counts[place]
    upper = torch.where(loud[place], torch.round(rest / DIGIT), torch.zeros_like(rest))
    counts[place] = rest - upper * DIGIT
    return Spikes(counts.to(torch.int8), vth, digits(upper, rows, channels))


def pad_channels(channels: Tensor, width: int) -> Tensor:
    """A single channel with a neighbour: torch 2.13's `_int_mm` reads past its input at inner length 1."""
    if channels.numel() > 1:
        return channels
    return torch.cat((channels, (channels + 1) % width))


def digits(upper: Tensor, rows: Tensor, channels: Tensor) -> tuple[Burst, ...]:
    """The bursts whose digits (worth 128) are `upper` float32 [R, C]; large ones take further digits."""
    bursts, weight = [], DIGIT
    while True:
        large = float(upper.abs().max()) > COUNT_LIMIT
        higher = torch.round(upper / DIGIT) if large else torch.zeros_like(upper)
        bursts.append(Burst(rows, channels, (upper - higher * DIGIT).to(torch.int8), weight))
        if not large:
            return tuple(bursts)
        upper, weight = higher, weight * DIGIT
