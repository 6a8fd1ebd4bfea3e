"""Sparse state expansion: a state that every token writes, and others of which each token picks some."""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.coding import Coder
from engine.config import LayerConfig, ModelConfig
from engine.sparse_config import SparseStateConfig
from engine.weights import LayerWeights, SparseState
from kernels.ops import Ops


def sparse_heads(
    coder: Coder, config: ModelConfig, layer: LayerWeights, kind: LayerConfig, hidden: Tensor,
    states: Tensor | None,
) -> tuple[Tensor | None, Tensor | None]:  # fmt: skip
    """Heads [T, H D] of a layer's sparse states and the states after the stream `hidden` [T, d]; without such
    a branch None and what was given.
    """
    if layer.sparse is None or kind.sparse is None or states is None:
        return None, states
    qkv = coder.linear(layer.sparse.qkv, coder.norm(hidden, layer.attn_norm, config.norm_eps))
    normed = F.rms_norm(hidden, (hidden.shape[-1],), layer.attn_norm, config.norm_eps)
    return expand_state(coder.ops, layer.sparse, kind.sparse, qkv, normed, states, config.norm_eps)


def add_halves(
    coder: Coder, config: ModelConfig, layer: LayerWeights, window: Tensor, beside: Tensor, hidden: Tensor
) -> None:
    """Add to the stream the mean of what sparse states and window [T, H D] give, each normalised."""
    sparse = layer.sparse
    assert sparse is not None
    for out, heads, norm in (
        (sparse.out, beside, sparse.merge_norm),
        (layer.out, window, sparse.window_norm),
    ):
        given = coder.linear(out, coder.plain(heads))
        hidden.add_(F.rms_norm(given, norm.shape, norm, config.norm_eps), alpha=0.5)


def expand_state(
    ops: Ops,
    weights: SparseState,
    kind: SparseStateConfig,
    qkv: Tensor,
    normed: Tensor,
    states: Tensor,
    eps: float,
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
    out, shared = ops.gated_delta_rule(q, k, v, decay[:heads], strength[:heads], states[0])
    new = [shared]
    for i, state in enumerate(states[1:]):
        mine = (picked == i).any(dim=-1).nonzero().flatten()
        some = share[mine, i, None]
        part, state = ops.gated_delta_rule(
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
