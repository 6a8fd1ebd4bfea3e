"""The gated delta rule chunk by chunk, safe under any decay.

Inside a chunk the writes solve a unit lower triangular system (arXiv 2412.06464, section 3.3): they are
`base - keys S`, with `S` the state at the chunk's start. Every exponent is a difference of cumulated log
decays that is <= 0: nothing overflows, and what underflows is truly forgotten. Log decays are cumulated in
float64, so that a mild decay after a strong one keeps its digits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.delta.reference import delta_recurrent, unit

CHUNK = 64
STRONGEST = -1e4
"""Log decays below this are as good as minus infinity: exp gives 0 in float64 too."""


def delta_chunked(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """As `delta_recurrent`, of heads: q, k [H, T, K], v [H, T, V], log_decay, beta [H, T], state [H, K, V].

    Returns o [H, T, V] and the final state [H, K, V]. Compute in float32 or float64.
    """
    heads, length, key_dim = q.shape
    if length <= 1:
        return delta_recurrent(q, k, v, log_decay, beta, state)
    current = q.new_zeros(heads, key_dim, v.shape[-1]) if state is None else state.to(q.dtype)
    # A padded token neither decays (0) nor writes (its beta is 0).
    pad = -length % CHUNK
    q, k, v = (F.pad(x, (0, 0, 0, pad)).unflatten(1, (-1, CHUNK)) for x in (unit(q), unit(k), v))
    log_decay, beta = (F.pad(x, (0, pad)).unflatten(1, (-1, CHUNK)) for x in (log_decay, beta))
    total = log_decay.double().clamp_min(STRONGEST).cumsum(dim=-1)
    apart = _decay_between(total).to(q.dtype)
    since, until = total.exp().to(q.dtype), (total[..., -1:] - total).exp().to(q.dtype)
    base, keys = _writes(k, v, beta, since, apart)
    seen = (q @ k.transpose(-1, -2)) * apart
    ahead, rest = q * since[..., None], k * until[..., None]
    outputs = []
    for i in range(total.shape[1]):
        written = base[:, i] - keys[:, i] @ current
        outputs.append(ahead[:, i] @ current + seen[:, i] @ written)
        current = since[:, i, -1, None, None] * current + rest[:, i].transpose(-1, -2) @ written
    out = torch.cat(outputs, dim=1)[:, :length]
    return out * key_dim**-0.5, current


def _decay_between(total: Tensor) -> Tensor:
    """`exp(total_i - total_j)` for j <= i, zero above: [..., C, C] of cumulated log decays [..., C]."""
    causal = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=total.device).tril()
    return (total[..., :, None] - total[..., None, :]).masked_fill(~causal, float("-inf")).exp()


def _writes(k: Tensor, v: Tensor, beta: Tensor, since: Tensor, apart: Tensor) -> tuple[Tensor, Tensor]:
    """What each token writes, as `base - keys S`: [H, N, C, V] and [H, N, C, K]; `since` is the decay [H, N,
    C] from the chunk's start.
    """
    overlap = beta[..., None] * ((k @ k.transpose(-1, -2)) * apart).tril(-1)
    known = torch.cat((v, k * since[..., None]), dim=-1) * beta[..., None]
    # Of `overlap` only the strict lower triangle is read; its diagonal is taken as ones.
    solved = torch.linalg.solve_triangular(overlap, known, upper=False, unitriangular=True)
    return solved[..., : v.shape[-1]], solved[..., v.shape[-1] :]
