"""Spike encoding for INT8 products: counts in INT8, bursts in further base-128 digits over few channels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.spike.reference import THRESHOLD_MAX, THRESHOLD_MIN

COUNT_LIMIT = 127
DIGIT = 128


@dataclass(frozen=True, slots=True)
class Burst:
    """One higher digit of the counts: `digits` int8 [T, C] over the `channels` [C] that burst, worth
    `weight` each.
    """

    channels: Tensor
    digits: Tensor
    weight: int


@dataclass(frozen=True, slots=True)
class Spikes:
    """Counts of T tokens over K channels: `low` int8 [T, K] plus `bursts`; `vth` float32 [T, 1] is a
    spike's value.
    """

    low: Tensor
    vth: Tensor
    bursts: tuple[Burst, ...] = ()

    def counts(self) -> Tensor:
        """All counts as int32 [T, K]."""
        total = self.low.to(torch.int32)
        for burst in self.bursts:
            total[:, burst.channels] += burst.digits.to(torch.int32) * burst.weight
        return total

    def spike_total(self) -> int:
        """Sum of |counts|: the number of spikes fired."""
        if self.bursts:
            return int(self.counts().abs().sum(dtype=torch.int64))
        return int(self.low.to(torch.int16).abs().sum(dtype=torch.int64))

    def silent_total(self) -> int:
        """Number of (token, channel) places that fire no spike."""
        quiet = self.low.numel() - int(torch.count_nonzero(self.low))
        for burst in self.bursts[:1]:
            quiet -= int(((self.low[:, burst.channels] == 0) & (burst.digits != 0)).sum())
        return quiet


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
    """Counts (integers in float32 [T, K], overwritten) as INT8 digits: `low` and, where some exceed 127,
    bursts.
    """
    highest = torch.maximum(counts.amax(0), counts.amin(0).neg_())
    channels = (highest > COUNT_LIMIT).nonzero().flatten()
    if channels.numel() == 0:
        return Spikes(counts.to(torch.int8), vth)
    if channels.numel() == 1:
        # torch 2.13's `_int_mm` reads past its input when the inner length is 1: take a neighbour along.
        channels = torch.cat((channels, (channels + 1) % counts.shape[1]))
    rest = counts[:, channels]
    upper = torch.round(rest / DIGIT)
    counts[:, channels] = rest - upper * DIGIT
    # A digit of exactly -128..127 fits; rounding half to even can leave +64..-64 only, so it always does.
    low = counts.to(torch.int8)
    bursts, weight = [], DIGIT
    while True:
        higher = (
            torch.round(upper / DIGIT) if float(upper.abs().max()) > COUNT_LIMIT else torch.zeros_like(upper)
        )
        bursts.append(Burst(channels, (upper - higher * DIGIT).to(torch.int8), weight))
        if not higher.any():
            return Spikes(low, vth, tuple(bursts))
        upper, weight = higher, weight * DIGIT
