"""Gated linear attention chunk by chunk, differentiable, safe under any decay.

Every exponent is a difference of cumulated log decays taken so that it is <= 0: nothing overflows, and what
underflows is truly forgotten. A chunk of 64 is cut into 4 blocks of 16; pairs inside a block are weighted
one by one, pairs across blocks meet at the later block's start (Yang et al. 2024, section 4.3, secondary
chunking).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64
BLOCK = 16


def gla_chunked(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    state: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """As `gla_recurrent`, with grouped queries: q [Hk, G, T, K], k, log_decay [Hk, T, K], v [Hk, T, V],
    state [Hk, K, V].

    Returns o [Hk, G, T, V] and the final state [Hk, K, V]. Compute in float32 or float64.
    """
    heads, group, length, key_dim = q.shape
    scale = key_dim**-0.5 if scale is None else scale
    current = q.new_zeros(heads, key_dim, v.shape[-1]) if state is None else state.to(q.dtype)
    if length == 0:
        return q.new_zeros(heads, group, 0, v.shape[-1]), current
    outputs = []
    for start in range(0, length, CHUNK):
        stop = min(start + CHUNK, length)
        part, current = _one_chunk(
            q[:, :, start:stop] * scale, k[:, start:stop], v[:, start:stop], log_decay[:, start:stop], current
        )
        outputs.append(part)
    return torch.cat(outputs, dim=2), current


def _one_chunk(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """At most CHUNK tokens; see `gla_chunked`."""
    length = q.shape[2]
    total = log_decay.cumsum(dim=1)
    out = torch.matmul(q * total.exp()[:, None], state[:, None])
    out = out + torch.matmul(_pair_weights(q, k, total), v[:, None])
    rest = total[:, -1:] - total
    state = total[:, -1].exp()[..., None] * state + torch.matmul((k * rest.exp()).transpose(1, 2), v)
    return out[:, :, :length], state


def _pair_weights(q: Tensor, k: Tensor, total: Tensor) -> Tensor:
    """`sum_d q_id k_jd exp(total_id - total_jd)` for j <= i, zero above: [Hk, G, T, T]."""
    heads, group, length, dim = q.shape
    pad = -length % BLOCK
    blocks = (length + pad) // BLOCK
    # The last row of `total` is repeated, so padded differences stay finite; padded keys are zero.
    total = torch.cat((total, total[:, -1:].expand(-1, pad, -1)), dim=1).view(heads, blocks, BLOCK, dim)
    q = F.pad(q, (0, 0, 0, pad)).view(heads, group, blocks, BLOCK, dim)
    k = F.pad(k, (0, 0, 0, pad)).view(heads, blocks, BLOCK, dim)
    causal = torch.ones(BLOCK, BLOCK, dtype=torch.bool, device=q.device).tril()
    apart = (total[:, :, :, None] - total[:, :, None]).masked_fill(~causal[..., None], float("-inf")).exp()
    inside = torch.einsum("hgbid,hbijd->hgbij", q, apart * k[:, :, None])
    rows = []
    for row in range(blocks):
        pieces = [inside[:, :, row]]
        if row:
            start = total[:, row - 1, -1][:, None]
            ahead = q[:, :, row] * (total[:, row] - start).exp()[:, None]
            earlier = (
                k[:, :row].reshape(heads, -1, dim) * (start - total[:, :row].reshape(heads, -1, dim)).exp()
            )
            pieces.insert(0, torch.matmul(ahead, earlier.transpose(1, 2)[:, None]))
        rows.append(F.pad(torch.cat(pieces, dim=-1), (0, (blocks - row - 1) * BLOCK)))
    return torch.cat(rows, dim=2)[:, :, :length, :length]
