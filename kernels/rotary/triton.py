"""Rotary positions in Triton: read once, written once in the target's number type."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.tuning import INTERPRETED, block_of


def rotate_triton(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor | None = None) -> Tensor:
    """As `rotate`: `x` [H, T, D] rotated by `cos`, `sin` float32 [T, D/2], into `out` (any strides with a
    contiguous last axis) or a new float32 tensor [H, T, D] laid out token by token.
    """
    heads, length, dim = x.shape
    x = x if x.stride(-1) == 1 else x.contiguous()
    cos, sin = cos.contiguous(), sin.contiguous()
    if out is None:
        out = torch.empty(length, heads, dim, dtype=torch.float32, device=x.device).transpose(0, 1)
    if x.numel():
        tokens = 128 if INTERPRETED else 16
        _rotate[(triton.cdiv(length, tokens), heads)](
            x, cos, sin, out, length, dim // 2, *x.stride()[:2], *out.stride()[:2],
            TOKENS=tokens, HALF=block_of(dim // 2, 1),
        )  # fmt: skip
    return out


@triton.jit
def _rotate(
    x, cos, sin, out, length, half, x_head, x_token, o_head, o_token, TOKENS: tl.constexpr, HALF: tl.constexpr
):
    head = tl.program_id(1).to(tl.int64)
    token = (tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)).to(tl.int64)[:, None]
    d = tl.arange(0, HALF)[None, :]
    held = (token < length) & (d < half)
    here = x + head * x_head + token * x_token + d
    first = tl.load(here, mask=held, other=0.0).to(tl.float32)
    second = tl.load(here + half, mask=held, other=0.0).to(tl.float32)
    c = tl.load(cos + token * half + d, mask=held, other=0.0)
    s = tl.load(sin + token * half + d, mask=held, other=0.0)
    target = out + head * o_head + token * o_token + d
    tl.store(target, (first * c - second * s).to(out.dtype.element_ty), mask=held)
    tl.store(target + half, (second * c + first * s).to(out.dtype.element_ty), mask=held)
