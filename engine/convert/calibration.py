"""Scales of INT8 weights by groups of input channels, fitted to what the inputs are like."""

import torch
from torch import Tensor

from engine.coding import DenseCoder, Linear
from engine.families.layout import BLOCK_ROWS
from kernels.ops import Ops

GROUP = 128
STRETCH = (1.0, 1.02, 1.04, 1.06, 1.08, 1.1)
"""Scales tried, in parts of max|w| / 127. None is smaller: larger codes would not fit INT8."""


class CalibrationCoder(DenseCoder):
    """Computes densely and sums up the squares of every linear layer's input."""

    def __init__(self, dtype: torch.dtype, ops: Ops) -> None:
        super().__init__(dtype, ops)
        self._squares: dict[int, Tensor] = {}
        self._tokens: dict[int, int] = {}

    def moments(self, layer: Linear) -> Tensor:
        """Mean square of each input channel of `layer` so far: float32 [K]."""
        return (self._squares[id(layer)] / self._tokens[id(layer)]).float()

    def linear(self, layer: Linear, coded: Tensor) -> Tensor:
        """See `DenseCoder`."""
        self._see(layer, coded)
        return super().linear(layer, coded)

    def add_linear(self, layer: Linear, coded: Tensor, target: Tensor) -> None:
        """See `DenseCoder`."""
        self._see(layer, coded)
        super().add_linear(layer, coded, target)

    def gated(self, layer: Linear, coded: Tensor) -> Tensor:
        """See `DenseCoder`."""
        self._see(layer, coded)
        return super().gated(layer, coded)

    def _see(self, layer: Linear, coded: Tensor) -> None:
        squares = coded.float().square().sum(dim=0, dtype=torch.float64)
        self._squares[id(layer)] = self._squares.get(id(layer), 0) + squares
        self._tokens[id(layer)] = self._tokens.get(id(layer), 0) + len(coded)


def group_size(width: int) -> int:
    """The most channels up to 128 (the released size) that divide `width`: 128 of 3584, 96 of 576."""
    return next(size for size in range(min(GROUP, width), 0, -1) if width % size == 0)


def fit_scales(weight: Tensor, moments: Tensor) -> Tensor:
    """`weight_quantizer.scales` float32 [N, G, 1] of `weight` [N, K] for inputs of mean square `moments` [K].

    Of the scales tried, each group takes the one with the least expected square error of the output.
    """
    groups = weight.shape[1] // group_size(weight.shape[1])
    return torch.cat([_fit(rows.float(), moments, groups) for rows in weight.split(BLOCK_ROWS)])


def _fit(weight: Tensor, moments: Tensor, groups: int) -> Tensor:
    parts, importance = weight.view(len(weight), groups, -1), moments.view(groups, -1)
    least = parts.abs().amax(dim=-1, keepdim=True) / 127
    least = torch.where(least > 0, least, torch.ones_like(least))
    best, lowest = least, torch.full_like(least, float("inf"))
    for stretch in STRETCH:
        scale = least * stretch
        error = (torch.round(parts / scale) * scale - parts).square_().mul_(importance)
        error = error.sum(dim=-1, keepdim=True)
        best = torch.where(error < lowest, scale, best)
        lowest = torch.minimum(error, lowest)
    return best
