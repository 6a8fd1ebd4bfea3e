"""Sparse state expansion: a state that every token writes, and others of which each token picks some."""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config import SparseStateConfig
from engine.weights import SparseState
from kernels.delta import delta_chunked


def expand_state(
    weights: SparseState, kind: SparseStateConfig, qkv: Tensor, normed: Tensor, states: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Heads [T, H D] and the new states [1 + N, H, K, V], all float32 (golden README 7.3).

    `qkv` [T, 3 H D] is what `weights.qkv` gives; `normed` [T, d] the normalised stream.
    """
    heads, dim = states.shape[1:3]
    q, k, v = qkv.chunk(3, dim=-1)
    low_q, low_k = _dense(normed, weights.low).chunk(2, dim=-1)
    wide = [q, k, q + _dense(low_q, weights.up_q), k + _dense(low_k, weights.up_k), v]
    q, k, other_q, other_k, v = (F.silu(x).unflatten(-1, (heads, dim)).transpose(0, 1) for x in wide)
    decay, strength = F.linear(normed, weights.gates).chunk(2, dim=-1)
    decay = (weights.decay * F.softplus(decay + weights.bias)).T
    strength = strength.sigmoid().T
    share = torch.softmax(F.linear(normed, weights.router), dim=-1)
    picked = share.topk(kind.active, dim=-1).indices
    out, shared = delta_chunked(q, k, v, decay[:heads], strength[:heads], states[0])
    new = [shared]
    for i, state in enumerate(states[1:]):
        mine = (picked == i).any(dim=-1).nonzero().flatten()
        some = share[mine, i, None]
        part, state = delta_chunked(
            other_q[:, mine] * some,
            other_k[:, mine] * some,
            v[:, mine],
            decay[heads:, mine],
            strength[heads:, mine],
            state,
        )
        out.index_add_(1, mine, part)
        new.append(state)
    normal = F.rms_norm(out.transpose(0, 1), (dim,), weights.norm, eps)
    return normal.flatten(1), torch.stack(new)


def _dense(x: Tensor, weight: Tensor) -> Tensor:
    """float32 product in the weight's dtype."""
    return F.linear(x.to(weight.dtype), weight).float()
