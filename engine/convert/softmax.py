"""Differentiable softmax attention of the training stages."""

import torch
import torch.nn.functional as F
from torch import Tensor

MASKED = -1e9
QUERY_BLOCK = 256


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention q [H, T, D], k, v [Hk, N, D], additive mask [T, N] -> [H, T, D].

    On a GPU through torch's fused kernel; on a CPU by plain products, which are several times faster there in
    bfloat16 with a mask.
    """
    heads, length, dim = q.shape
    group = heads // len(k)
    if q.is_cuda:
        wide = (k.repeat_interleave(group, 0)[None], v.repeat_interleave(group, 0)[None])
        return F.scaled_dot_product_attention(q[None], *wide, attn_mask=mask[None, None])[0]
    grouped = q.reshape(len(k), group * length, dim)
    added = mask.repeat(group, 1).expand(len(k), -1, -1)
    shares = torch.softmax(torch.baddbmm(added, grouped, k.transpose(1, 2), alpha=dim**-0.5), dim=-1)
    return (shares @ v).view(heads, length, dim)


def attend_causally(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Causal attention q [H, T, D], k, v [Hk, T, D] -> [H, T, D]; `mask` [T, T], which hides later keys too,
    takes the place of plain causality. On a CPU by blocks of queries that leave out the keys after them.
    """
    length = q.shape[1]
    if q.is_cuda and mask is None:
        group = len(q) // len(k)
        wide = (k.repeat_interleave(group, 0)[None], v.repeat_interleave(group, 0)[None])
        return F.scaled_dot_product_attention(q[None], *wide, is_causal=True)[0]
    block, out = length if q.is_cuda else QUERY_BLOCK, []
    for first in range(0, length, block):
        end = min(first + block, length)
        if mask is None:
            seen = torch.full((end - first, end), MASKED, dtype=q.dtype).triu(first + 1)
        else:
            seen = mask[first:end, :end]
        out.append(attend(q[:, first:end], k[:, :end], v[:, :end], seen))
    return torch.cat(out, dim=1)
