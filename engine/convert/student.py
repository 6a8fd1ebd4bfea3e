"""The default model in a differentiable form: INT8 base weights, spike-coded inputs, low-rank adapters.

The arithmetic is that of `engine.decoder` on groups shorter than the window; weights are the dequantised INT8
ones plus `up @ down` (LoRA, arXiv 2106.09685).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.convert.examples import Group
from engine.convert.fused import Pointwise
from engine.convert.lora import PARTS, Adapters, shapes_of
from engine.convert.softmax import MASKED, attend_causally
from kernels.rotary import inverse_frequencies


class AdaptedLinear(torch.autograd.Function):
    """`x @ (W + up @ down)^T` through the sum, whose gradient goes to `down` and `up` alone: no second
    product of the size of W.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, down: Tensor, up: Tensor) -> Tensor:
        whole = torch.addmm(weight, up.to(weight.dtype), down.to(weight.dtype))
        ctx.save_for_backward(x, whole, down, up)
        return F.linear(x, whole)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, Tensor, Tensor]:
        x, whole, down, up = ctx.saved_tensors
        grad = grads[0]
        narrow, wide = grad @ up.to(grad.dtype), x @ down.to(x.dtype).T
        to_x = grad @ whole if ctx.needs_input_grad[0] else None
        return to_x, None, (narrow.T @ x).to(down.dtype), (grad.T @ wide).to(up.dtype)


Attention = Callable[[int, Tensor, Tensor], Tensor]
"""From (layer, joined projections [T, ...], normed stream [T, d]) to the heads' outputs [T, H D]."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Base weights of a layer: norms float32 [d], matrices [N, K] in the compute dtype."""

    attn_norm: Tensor
    mlp_norm: Tensor
    matrices: dict[str, Tensor]


class Student(nn.Module):
    """A prepared model folder with trainable adapters of `rank` (None: without) from layer `first` on;
    `spiking` off computes with dense activations, `fused` compiles what stands between matrix products.
    """

    def __init__(
        self,
        folder: Path,
        rank: int | None,
        first: int = 0,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        seed: int = 0,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self._pointwise = Pointwise(fused)
        self.raw = raw = json.loads((folder / "config.json").read_text("utf-8"))
        self.heads, self.kv_heads, self.dim = raw["num_heads"], raw["num_kv_heads"], raw["head_dim"]
        self.eps, self.spiking, self.dtype, self.device = raw["norm_eps"], True, dtype, device
        tensors = load_file(folder / "model.safetensors")
        count = len(raw["windows"])
        spike_k = raw["spike_k"]
        self.spike_k: list[float] = list(spike_k) if isinstance(spike_k, list) else [spike_k] * count

        def matrix(name: str) -> Tensor:
            return (tensors[f"{name}.codes"].float() * tensors[f"{name}.scale"][:, None]).to(device, dtype)

        self.table = matrix("embedding")
        self.norm = tensors["norm"].to(device)
        self.layers = [
            Layer(
                tensors[f"layers.{i}.attn_norm"].to(device),
                tensors[f"layers.{i}.mlp_norm"].to(device),
                {part: matrix(f"layers.{i}.{part}") for part in PARTS},
            )
            for i in range(count)
        ]
        shapes = {} if rank is None else shapes_of(tensors, first)
        self.adapters = Adapters(shapes, rank or 0, seed).to(device)
        self._frequencies = inverse_frequencies(self.dim, raw["rope_theta"]).to(device)

    def forward(self, groups: Sequence[Group]) -> Tensor:
        """Residual stream float32 [sum T, d] before the final norm, groups one after another."""
        ids = torch.cat([g.ids for g in groups]).to(self.device)
        turn = self.turn(torch.cat([g.positions for g in groups]))
        masks = [visible(g).to(self.device, self.dtype) for g in groups]
        return self.blocks(ids, lambda _, joined, __: self._attend(joined, turn, masks))[-1]

    def blocks(self, ids: Tensor, attention: Attention) -> list[Tensor]:
        """The residual stream float32 [T, d] before the first and after every layer, with `attention` between
        the projections of each.
        """
        hidden = F.embedding(ids, self.table).float()
        change, between = torch.zeros_like(hidden, dtype=self.dtype), self._pointwise
        streams = [hidden]
        for i, layer in enumerate(self.layers):
            k = torch.tensor(self.spike_k[i], device=self.device) if self.spiking else None
            hidden, inner, given = between.normed(hidden, change, layer.attn_norm, self.eps, k, self.dtype)
            heads = attention(i, self._linear(i, "qkv", given), inner)
            change = self._linear(i, "out", between.coded(heads, k, self.dtype))
            hidden, _, given = between.normed(hidden, change, layer.mlp_norm, self.eps, k, self.dtype)
            change = self._linear(i, "down", between.gated(self._linear(i, "gate_up", given), k, self.dtype))
            streams.append(hidden + change)
        return streams

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [T, V] of rows of the residual stream."""
        normed = F.rms_norm(hidden, (hidden.shape[-1],), self.norm, self.eps)
        return F.linear(normed.to(self.dtype), self.table)

    def turn(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [T, 1, D/2] of integer positions [T]."""
        angle = places.to(self.device)[:, None].float() * self._frequencies
        return angle.cos().to(self.dtype)[:, None], angle.sin().to(self.dtype)[:, None]

    def turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Rotary positions: x [T, H, D], cos and sin [T, 1, D/2]."""
        return self._pointwise.turned(x, cos, sin)

    def heads_of(self, joined: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [T, H, D], keys and values [T, Hk, D] out of the joined projection."""
        shares = (self.heads * self.dim, self.kv_heads * self.dim, self.kv_heads * self.dim)
        q, k, v = (part.view(len(joined), -1, self.dim) for part in joined.split(shares, dim=-1))
        return q, k, v

    def _linear(self, i: int, part: str, x: Tensor) -> Tensor:
        """The product of coded rows x [T, K] with a matrix and what was learned beside it: [T, N]."""
        weight, pair = self.layers[i].matrices[part], self.adapters.pair(f"layers.{i}.{part}")
        return F.linear(x, weight) if pair is None else AdaptedLinear.apply(x, weight, *pair)

    def _attend(self, joined: Tensor, turn: tuple[Tensor, Tensor], masks: Sequence[Tensor]) -> Tensor:
        """Softmax attention inside each group: joined q, k, v [T, ...] -> [T, H D]."""
        q, k, v = self.heads_of(joined)
        q, k = self.turned(q, *turn), self.turned(k, *turn)
        out, start = [], 0
        for mask in masks:
            stop = start + len(mask)
            heads = attend_causally(
                q[start:stop].transpose(0, 1),
                k[start:stop].transpose(0, 1),
                v[start:stop].transpose(0, 1),
                mask,
            )
            out.append(heads.transpose(0, 1).reshape(stop - start, -1))
            start = stop
        return torch.cat(out)


def visible(group: Group) -> Tensor:
    """Additive mask float32 [T, T]: a token sees the trunk and its own branch, nothing later."""
    causal = torch.ones(len(group), len(group), dtype=torch.bool).tril()
    same = (group.branch[None, :] == 0) | (group.branch[None, :] == group.branch[:, None])
    return torch.zeros(len(group), len(group)).masked_fill_(~(causal & same), MASKED)
