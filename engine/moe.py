"""Mixture of experts: which experts a token meets, and what they add."""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.coding import Coder
from engine.config import ModelConfig
from engine.weights import LayerWeights


def route(normed: Tensor, router: Tensor, active: int) -> tuple[Tensor, Tensor]:
    """Weights float32 and experts int64 [T, active] of `normed` float32 [T, d]: the likeliest of a softmax
    over all experts, their probabilities as they are.

    Equal probabilities go to the first expert.
    """
    chances = torch.softmax(F.linear(normed, router), dim=-1)
    ordered = chances.sort(dim=-1, descending=True, stable=True)
    return ordered.values[:, :active], ordered.indices[:, :active]


def add_routed(
    coder: Coder, config: ModelConfig, layer: LayerWeights, entering: Tensor, target: Tensor
) -> None:
    """Add the routed experts' outputs on the stream `entering` float32 [T, d], weighted, to `target`.

    Only experts that are met are touched: those of a memory-mapped checkpoint are read when first needed.
    """
    assert layer.experts is not None
    assert config.experts is not None
    normed = F.rms_norm(entering, (config.hidden_size,), layer.mlp_norm, config.norm_eps)
    weights, chosen = route(normed, layer.experts.router, config.experts.active)
    for expert in chosen.unique().tolist():
        rows, place = (chosen == expert).nonzero(as_tuple=True)
        coded = coder.norm(entering[rows], layer.mlp_norm, config.norm_eps)
        inner = coder.gated(layer.experts.gate_up[expert], coded)
        out = entering.new_zeros(len(rows), config.hidden_size)
        coder.add_linear(layer.experts.down[expert], inner, out)
        target.index_add_(0, rows, out.mul_(weights[rows, place][:, None]))
