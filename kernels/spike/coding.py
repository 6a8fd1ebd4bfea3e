"""Spike counts as trains of spikes over time, and back (SpikingBrain, arXiv 2509.05276, section 2.3).

`binary`, `ternary`: |n| equal spikes, signed in ternary. `bitwise_*`: the bits of n, most significant first:
`unsigned` of n, `bidirectional` of |n| with n's sign on every spike, `twos_complement` of n modulo 2^T.
"""

import torch
from torch import Tensor

UNSIGNED = frozenset({"binary", "bitwise_unsigned"})
UNARY = frozenset({"binary", "ternary"})
MODES = ("binary", "ternary", "bitwise_unsigned", "bitwise_bidirectional", "bitwise_twos_complement")


def encode_train(counts: Tensor, mode: str, steps: int | None = None) -> Tensor:
    """Planes int8 [T, *shape] of integer `counts` [*shape] (any dtype), the first in time first.

    `steps` fixes T; by default it is the least that holds the largest count. With a T too short, unary codes
    keep the first T spikes and bitwise codes the low T bits. ValueError for fractions, for negative counts in
    an unsigned mode and for bitwise codes of no step.
    """
    whole = _checked(counts, mode)
    steps = steps_needed(whole, mode) if steps is None else steps
    if mode in UNARY:
        time = torch.arange(steps, device=whole.device).view(-1, *[1] * whole.ndim)
        return ((whole.abs() > time) * whole.sign()).to(torch.int8)
    if steps < 1:
        raise ValueError(f"{mode} needs at least one step, not {steps}")
    place = torch.arange(steps - 1, -1, -1, device=whole.device).view(-1, *[1] * whole.ndim)
    if mode == "bitwise_bidirectional":
        return (((whole.abs() >> place) & 1) * whole.sign()).to(torch.int8)
    return ((whole >> place) & 1).to(torch.int8)  # an arithmetic shift: the bits of n modulo 2^T


def decode_train(planes: Tensor, mode: str) -> Tensor:
    """The counts int64 [*shape] that `planes` [T, *shape] stand for; two's complement gives signed counts."""
    weights = plane_weights(len(planes), mode).to(planes.device)
    return (planes.long() * weights.view(-1, *[1] * (planes.ndim - 1))).sum(dim=0)


def plane_weights(steps: int, mode: str) -> Tensor:
    """What a spike of each plane is worth, int64 [T]; in two's complement the first counts negative."""
    if mode not in MODES:
        raise ValueError(f"unknown spike coding {mode!r}, known: {', '.join(MODES)}")
    if mode in UNARY:
        return torch.ones(steps, dtype=torch.int64)
    weights = 2 ** torch.arange(steps - 1, -1, -1)
    if mode == "bitwise_twos_complement":
        weights[0] = -weights[0]
    return weights


def steps_needed(counts: Tensor, mode: str) -> int:
    """The least number of steps that holds every count of the tensor (two's complement has a sign bit)."""
    largest = int(counts.abs().max()) if counts.numel() else 0
    if mode in UNARY:
        return largest
    bits = largest.bit_length()
    return max(2, bits + 1) if mode == "bitwise_twos_complement" else max(1, bits)


def firing_rate(planes: Tensor) -> float | None:
    """Spikes per element and step; None for a train of no step. Times T it is the spikes per element."""
    return float(planes.abs().sum(dtype=torch.int64)) / planes.numel() if planes.numel() else None


def shift_counts(counts: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """Counts moved to where `mode` codes them, and the zero point (subtract it after decoding), both int64.

    As the reference: signed codes halve counts that are all non-negative, unsigned ones start at the minimum.
    """
    whole = _integers(counts)
    lowest = int(whole.min()) if whole.numel() else 0
    zero = torch.zeros_like(whole)
    if mode in UNSIGNED:
        zero -= min(lowest, 0)
    elif lowest >= 0:
        zero -= (whole + 1) // 2
    return whole + zero, zero


def _checked(counts: Tensor, mode: str) -> Tensor:
    if mode not in MODES:
        raise ValueError(f"unknown spike coding {mode!r}, known: {', '.join(MODES)}")
    whole = _integers(counts)
    if mode in UNSIGNED and bool((whole < 0).any()):
        raise ValueError(f"{mode} codes no negative counts")
    return whole


def _integers(counts: Tensor) -> Tensor:
    whole = counts.long()
    if bool((whole != counts).any()):
        raise ValueError("spike counts must be whole numbers")
    return whole
