"""Rotary position embedding, half-split form (RoFormer, arXiv 2104.09864; Llama layout)."""

import torch
from torch import Tensor


def inverse_frequencies(head_dim: int, theta: float) -> Tensor:
    """`1 / theta^(2i/D)` for i < D/2, float32 [D/2]."""
    exponent = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    return 1.0 / (theta**exponent)


def rotate_reference(x: Tensor, positions: Tensor, theta: float) -> Tensor:
    """Float64 truth: `x` [..., T, D] rotated for integer `positions` [T]."""
    dim = x.shape[-1]
    frequency = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = positions.double()[:, None] * frequency
    cos, sin = angle.cos(), angle.sin()
    first, second = x.double().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`x` [..., T, D] float32 rotated by `cos`, `sin` [T, D/2] (broadcast over leading axes)."""
    first, second = x.chunk(2, dim=-1)
    out = torch.empty_like(x)
    half = x.shape[-1] // 2
    torch.mul(first, cos, out=out[..., :half]).sub_(second * sin)
    torch.mul(second, cos, out=out[..., half:]).add_(first * sin)
    return out
