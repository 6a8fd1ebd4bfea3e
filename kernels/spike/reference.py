"""Spike counts of a linear layer's input, the plain formula (SpikingBrain, arXiv 2509.05276, section 2.3)."""

import torch
from torch import Tensor

THRESHOLD_MIN = 1e-5
THRESHOLD_MAX = 1e4


def threshold(x: Tensor, k: float | Tensor) -> Tensor:
    """Firing threshold of each token, `clip(mean(|x|) / k)`: `x` [..., K] -> [..., 1], same dtype."""
    return (x.abs().mean(dim=-1, keepdim=True) / k).clamp(THRESHOLD_MIN, THRESHOLD_MAX)


def encode_counts(x: Tensor, k: float) -> tuple[Tensor, Tensor]:
    """Signed spike counts `round(x / threshold)`, half to even, never clipped.

    `x` [..., K] floating; returns counts [..., K] and threshold [..., 1] in the same dtype.
    """
    vth = threshold(x, k)
    return torch.round(x / vth), vth


def decode_counts(counts: Tensor, vth: Tensor) -> Tensor:
    """The value that counts stand for: `counts * threshold`."""
    return counts * vth
