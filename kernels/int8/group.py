"""Weights in INT8 by groups of input channels (W8ASpike) and their product with spike counts."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.int8.cpu import int_product
from kernels.spike.cpu import Spikes

BLOCK = 512 * 1024
"""Sums worked on together (outputs times tokens), as float32 they stay in the cache: half the time of all at
once for 1,024 tokens, where the product takes half the time of the same in float32 (Zen 4).
"""

GroupProduct = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Excess:
    """What INT8 cannot hold of a few weights: `values` float32 [M], scale included, at `rows`, `columns`."""

    rows: Tensor
    columns: Tensor
    values: Tensor


def quantize_groups(weight: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Excess | None]:
    """`round(w / s)`, half to even, never clipped: `weight` float32 [N, K], `scale` float32 [N, G] -> codes
    int8 [N, K], the scale to use with them, and what is left of codes beyond INT8.

    A code of +128 does not fit INT8, -128 does: such a group is stored negated, scale and all.
    """
    rows, columns = weight.shape
    codes = torch.round(weight.view(rows, scale.shape[1], -1) / scale[..., None])
    sign = torch.where(codes.amax(dim=-1) > 127, -1.0, 1.0)
    codes = codes.mul_(sign[..., None]).view(rows, columns)
    used = scale * sign
    held = codes.clamp(-128, 127)
    row, column = (codes - held).nonzero(as_tuple=True)
    if not len(row):
        return held.to(torch.int8), used, None
    values = (codes - held)[row, column] * used[row, column // (columns // scale.shape[1])]
    return held.to(torch.int8), used, Excess(row, column, values)


def group_product(low: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """`sum over groups g of scale_g * (low_g @ codes_g^T)`, float32 [T, N]: `low` int8 [T, K], `codes` int8
    [N, K], `scale` float32 [N, G]. The sums of a group are exact (int32), those over groups float32.
    """
    size = codes.shape[1] // scale.shape[1]
    groups = [part.contiguous() for part in low.split(size, dim=1)]
    parts = []
    rows = max(1, BLOCK // max(1, len(low)))
    for start in range(0, len(codes), rows):
        block = slice(start, start + rows)
        total = scale.new_zeros(len(low), len(codes[block]))
        for group, counts in enumerate(groups):
            product = int_product(counts, codes[block, group * size : (group + 1) * size].t())
            total.addcmul_(product.float(), scale[block, group])
        parts.append(total)
    return torch.cat(parts, dim=1)


def group_linear(
    spikes: Spikes, codes: Tensor, scale: Tensor, excess: Excess | None = None,
    product: GroupProduct = group_product,
) -> Tensor:  # fmt: skip
    """`vth * sum over groups g of scale_g * (counts_g @ codes_g^T)`, float32 [T, N].

    `codes` int8 [N, K], `scale` float32 [N, G]; `product` computes what the low digits of the counts give.
    """
    size = codes.shape[1] // scale.shape[1]
    out = product(spikes.low, codes, scale)
    if spikes.bursts:
        channels = torch.unique(torch.cat([burst.channels for burst in spikes.bursts]))
        rest = (spikes.counts()[:, channels] - spikes.low[:, channels].int()).float()
        out.add_(rest @ (codes[:, channels].float() * scale[:, channels // size]).T)
    if excess is not None:
        out.index_add_(1, excess.rows, spikes.counts()[:, excess.columns].float() * excess.values)
    return out.mul_(spikes.vth)


def group_linear_reference(counts: Tensor, vth: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """The same in float64: counts [T, K], vth [T, 1], codes [N, K], scale [N, G] -> [T, N]."""
    size = codes.shape[1] // scale.shape[1]
    weight = codes.double() * scale.double().repeat_interleave(size, dim=1)
    return counts.double() @ weight.T * vth.double()


def quantize_symmetric(x: Tensor) -> Tensor:
    """`x` [..., D] through symmetric INT8 per row and back: scale = clip(max|x| / 127, 1e-5, 1e4)."""
    scale = (x.abs().amax(dim=-1, keepdim=True) / 127).clamp_(1e-5, 1e4)
    return torch.round(x / scale).clamp_(-128, 127).mul_(scale)
