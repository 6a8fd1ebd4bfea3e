"""Heads of gated linear attention, from a layer's queries, keys and values."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.coding import Coder, Linear
from engine.config import ModelConfig
from engine.weights import LayerWeights


def gated_heads(
    coder: Coder,
    config: ModelConfig,
    layer: LayerWeights,
    hidden: Tensor,
    coded: Any,
    parts: tuple[Tensor, Tensor, Tensor],
    state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Heads [T, H, D] and the new state of a layer with gates, of the stream `hidden` [T, d] (`coded` as its
    gate takes it) and `parts`: q [H, T, D], k and v [Hk, T, D], float32, unrotated.

    Golden semantics (relu, logsigmoid / 16), or without a gate tied to the key: q and k through a sigmoid,
    decay 1 - k.
    """
    c, gates, (q, k, v) = config, layer.gates, parts
    assert gates is not None
    count = q.shape[1]
    gate = _gate(coder, c, layer, hidden, coded)
    if gate is None:
        decay = F.logsigmoid(-k)  # the logarithm of 1 - sigmoid(k), exact where that is tiny
        q, k = torch.sigmoid(q), torch.sigmoid(k)
    else:
        decay = F.logsigmoid(gate) / c.gate_normalizer
        decay = decay.view(count, c.num_kv_heads, c.head_dim).transpose(0, 1)
        q, k = F.relu(q), F.relu(k)
    grouped = q.reshape(c.num_kv_heads, c.num_heads // c.num_kv_heads, count, c.head_dim)
    out, state = coder.ops.gated_linear_attention(grouped, k, v, decay, state)
    heads = out.reshape(c.num_heads, count, c.head_dim).transpose(0, 1)
    heads = F.rms_norm(heads, (c.head_dim,), gates.norm, c.norm_eps)
    return (heads if gates.mix is None else heads * gates.mix[:, None]), state


def _gate(
    coder: Coder, config: ModelConfig, layer: LayerWeights, hidden: Tensor, coded: Any
) -> Tensor | None:
    """What the decay is made of, float32 [T, Hk D]; None where it is tied to the key."""
    decay = layer.gates.decay if layer.gates is not None else None
    if decay is None or isinstance(decay, Linear):
        return None if decay is None else coder.linear(decay, coded)
    normed = F.rms_norm(hidden, (config.hidden_size,), layer.attn_norm, config.norm_eps)
    return F.linear(F.linear(normed, decay.down), decay.up, decay.bias)
