"""Products of spike counts with INT8 weights in Triton: exact in int32, scaled in the same pass.

Bursts join in the same program: each token's few listed channels are multiplied one after the other, so
the sum stays exact and nothing is clipped. One kernel serves weights scaled by row, by groups of input
channels, and the joined gate and up projection (`silu(gate) * up` is written); another serves one token.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.spike.triton import ListedSpikes
from kernels.tuning import tuned

FEW = 4
"""Tokens up to which each is multiplied on its own, reading the weights once per token."""

CHOICES = {
    "hopper": [
        ({"BM": 128, "BN": 128, "BK": 64}, 8, 3), ({"BM": 128, "BN": 128, "BK": 128}, 8, 3),
        ({"BM": 128, "BN": 64, "BK": 64}, 4, 4), ({"BM": 64, "BN": 64, "BK": 128}, 4, 4),
        ({"BM": 16, "BN": 64, "BK": 128}, 4, 4), ({"BM": 128, "BN": 256, "BK": 64}, 8, 3),
    ],
    "ampere": [
        ({"BM": 128, "BN": 128, "BK": 64}, 8, 3), ({"BM": 128, "BN": 64, "BK": 64}, 4, 3),
        ({"BM": 64, "BN": 64, "BK": 64}, 4, 3), ({"BM": 16, "BN": 64, "BK": 128}, 4, 3),
    ],
    "amd": [({"BM": 128, "BN": 128, "BK": 64}, 8, 2), ({"BM": 64, "BN": 64, "BK": 64}, 4, 2)],
    "other": [({"BM": 64, "BN": 64, "BK": 64}, 4, 2)],
    "interpreter": [({"BM": 128, "BN": 512, "BK": 128}, 1, 1)],
}  # fmt: skip
GROUP_CHOICES = {
    "hopper": [({"BM": 128, "BN": 128}, 8, 3), ({"BM": 64, "BN": 128}, 4, 3), ({"BM": 16, "BN": 64}, 4, 4)],
    "other": [({"BM": 64, "BN": 64}, 4, 2), ({"BM": 16, "BN": 64}, 4, 2)],
    "interpreter": [({"BM": 128, "BN": 512}, 1, 1)],
}
ONE_CHOICES = {
    "hopper": [({"BN": 4, "BK": 512}, 4, 2), ({"BN": 8, "BK": 512}, 4, 2), ({"BN": 16, "BK": 256}, 4, 2)],
    "other": [({"BN": 8, "BK": 512}, 4, 1), ({"BN": 4, "BK": 512}, 4, 1)],
    "interpreter": [({"BN": 512, "BK": 64}, 1, 1)],
}


def spike_linear_triton(
    spikes: ListedSpikes, codes: Tensor, scale: Tensor, add_to: Tensor | None = None, gated: bool = False
) -> Tensor:
    """`vth * scale * (counts @ codes^T)` float32 [T, N] for codes int8 [N, K], scale [N] or, by groups of
    input channels, [N, G]; added to `add_to` in place if given. `gated`: silu of the first half of the
    outputs times the second half, [T, N / 2] (not with groups).
    """
    rows, width = spikes.low.shape
    outputs = codes.shape[0] // 2 if gated else codes.shape[0]
    out = add_to
    if out is None:
        out = torch.empty(rows, outputs, dtype=torch.float32, device=codes.device)
    if rows == 0:
        return out
    codes = codes if codes.stride(-1) == 1 else codes.contiguous()
    group = width // scale.shape[1] if scale.ndim == 2 else 0
    tensors = (
        spikes.low, codes, spikes.vth, scale.contiguous(), spikes.amount, spikes.channels, spikes.rest, out
    )  # fmt: skip
    numbers = (rows, outputs, width, spikes.channels.shape[1], codes.stride(0), out.stride(0))
    settings = {"GATED": gated, "ADD": add_to is not None}
    many = rows >= 256  # what is fastest for a prompt is not for a chunk of an archive
    if rows <= FEW and not group:

        def each(meta: dict[str, int]) -> tuple[int, ...]:
            return triton.cdiv(outputs, meta["BN"]), rows

        _one[each](*tensors, *numbers, **settings)
        return out

    def grid(meta: dict[str, int]) -> tuple[int, ...]:
        return (triton.cdiv(rows, meta["BM"]) * triton.cdiv(outputs, meta["BN"]),)

    if group:
        _by_group[grid](*tensors, *numbers, GROUP=group, MANY=many, BK=min(128, group & -group), **settings)
    else:
        _by_row[grid](*tensors, *numbers, GROUP=0, MANY=many, **settings)
    return out


def fits_groups(width: int, groups: int) -> bool:
    """Whether groups of `width / groups` input channels can be multiplied block by block here."""
    size = width // groups
    return size & -size >= 32


@triton.jit
def _product(
    low, codes, vths, scales, amounts, channels, rests, out, rows, outputs, width, room, w_row, out_row,
    GROUP: tl.constexpr, GATED: tl.constexpr, ADD: tl.constexpr, MANY: tl.constexpr, BM: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    # Eight blocks of rows run through all columns together, so that weights are read from the cache.
    across = (outputs + BN - 1) // BN
    down = (rows + BM - 1) // BM
    band = tl.program_id(0) // (8 * across)
    within = tl.minimum(down - band * 8, 8)
    inside = tl.program_id(0) % (8 * across)
    row = ((band * 8 + inside % within) * BM + tl.arange(0, BM)).to(tl.int64)
    column = ((inside // within) * BN + tl.arange(0, BN)).to(tl.int64)
    there, held = row < rows, column < outputs
    total = tl.full([BM, BN], 0, tl.float32 if GROUP > 0 else tl.int32)
    if GATED:
        second = tl.full([BM, BN], 0, tl.int32)
    for first in range(0, width, BK):
        k = first + tl.arange(0, BK)
        known = k < width
        x = tl.load(low + row[:, None] * width + k[None, :], mask=there[:, None] & known[None, :], other=0)
        here = codes + column[None, :] * w_row + k[:, None]
        both = held[None, :] & known[:, None]
        if GROUP > 0:
            # A block of channels lies in one group: BK divides its size.
            scale = tl.load(scales + column * (width // GROUP) + first // GROUP, mask=held, other=0.0)
            part = tl.dot(x, tl.load(here, mask=both, other=0), out_dtype=tl.int32)
            total += part.to(tl.float32) * scale[None, :]
        else:
            total = tl.dot(x, tl.load(here, mask=both, other=0), total, out_dtype=tl.int32)
        if GATED:
            up = codes + (outputs + column)[None, :] * w_row + k[:, None]
            second = tl.dot(x, tl.load(up, mask=both, other=0), second, out_dtype=tl.int32)
    amount = tl.load(amounts + row, mask=there, other=0)
    for slot in range(tl.max(amount, axis=0)):
        listed = slot < amount
        channel = tl.load(channels + row * room + slot, mask=listed, other=0).to(tl.int64)
        rest = tl.load(rests + row * room + slot, mask=listed, other=0)
        both = listed[:, None] & held[None, :]
        w = tl.load(codes + column[None, :] * w_row + channel[:, None], mask=both, other=0)
        if GROUP > 0:
            place = column[None, :] * (width // GROUP) + channel[:, None] // GROUP
            scale = tl.load(scales + place, mask=both, other=0.0)
            total += rest.to(tl.float32)[:, None] * (w.to(tl.float32) * scale)
        else:
            total += rest[:, None] * w.to(tl.int32)
        if GATED:
            up = codes + (outputs + column)[None, :] * w_row + channel[:, None]
            second += rest[:, None] * tl.load(up, mask=both, other=0).to(tl.int32)
    vth = tl.load(vths + row, mask=there, other=0.0)[:, None]
    value = total.to(tl.float32)
    if GROUP == 0:
        value = value * tl.load(scales + column, mask=held, other=0.0)[None, :]
    value = value * vth
    if GATED:
        second_scale = tl.load(scales + outputs + column, mask=held, other=0.0)[None, :]
        small = tl.exp(-tl.abs(value))
        value = value * tl.where(value < 0, small, 1.0) / (1.0 + small)
        value = value * (second.to(tl.float32) * second_scale * vth)
    target = out + row[:, None] * out_row + column[None, :]
    stored = there[:, None] & held[None, :]
    if ADD:
        value = tl.load(target, mask=stored, other=0.0) + value
    tl.store(target, value, mask=stored)


_by_row = tuned(CHOICES, ["outputs", "width", "MANY"], ["out"])(_product)
_by_group = tuned(GROUP_CHOICES, ["outputs", "width", "MANY"], ["out"])(_product)


@tuned(ONE_CHOICES, ["outputs", "width"], ["out"])
@triton.jit
def _one(
    low, codes, vths, scales, amounts, channels, rests, out, rows, outputs, width, room, w_row, out_row,
    GATED: tl.constexpr, ADD: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Some outputs of one token."""
    row = tl.program_id(1).to(tl.int64)
    column = (tl.program_id(0) * BN + tl.arange(0, BN)).to(tl.int64)
    held = column < outputs
    sums = tl.full([BN, BK], 0, tl.int32)
    second = tl.full([BN, BK], 0, tl.int32)
    for first in range(0, width, BK):
        k = first + tl.arange(0, BK)
        both = held[:, None] & (k[None, :] < width)
        x = tl.load(low + row * width + k, mask=k < width, other=0).to(tl.int32)[None, :]
        here = codes + column[:, None] * w_row + k[None, :]
        sums += x * tl.load(here, mask=both, other=0).to(tl.int32)
        if GATED:
            up = codes + (outputs + column)[:, None] * w_row + k[None, :]
            second += x * tl.load(up, mask=both, other=0).to(tl.int32)
    total, other = tl.sum(sums, axis=1), tl.sum(second, axis=1)
    for slot in range(tl.load(amounts + row)):
        channel = tl.load(channels + row * room + slot).to(tl.int64)
        rest = tl.load(rests + row * room + slot)
        total += rest * tl.load(codes + column * w_row + channel, mask=held, other=0).to(tl.int32)
        if GATED:
            up = codes + (outputs + column) * w_row + channel
            other += rest * tl.load(up, mask=held, other=0).to(tl.int32)
    vth = tl.load(vths + row)
    value = total.to(tl.float32) * tl.load(scales + column, mask=held, other=0.0) * vth
    if GATED:
        scale = tl.load(scales + outputs + column, mask=held, other=0.0)
        small = tl.exp(-tl.abs(value))
        value = value * tl.where(value < 0, small, 1.0) / (1.0 + small)
        value = value * (other.to(tl.float32) * scale * vth)
    target = out + row * out_row + column
    if ADD:
        value = tl.load(target, mask=held, other=0.0) + value
    tl.store(target, value, mask=held)
