"""What a linear layer takes in: dense activations or spike counts."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config import ModelConfig
from engine.steps import Steps
from engine.tally import SpikeTally
from kernels.int8 import Excess
from kernels.layers import FusedLayers
from kernels.ops import Ops
from kernels.spike import Spikes


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights of a linear layer: dense `weight` [N, K], or INT8 `weight` with `scale` [N] (or [N, G] for G
    groups of input channels, then with `excess` beyond INT8) to be fed by spikes; `bias` [N] or none.
    """

    weight: Tensor
    scale: Tensor | None = None
    bias: Tensor | None = None
    excess: Excess | None = None


class DenseCoder(Steps):
    """Leaves activations as they are, in the compute dtype."""

    true_positions = False

    def __init__(self, dtype: torch.dtype, ops: Ops) -> None:
        self.dtype = dtype
        self.ops = ops

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """RMSNorm of `x` float32 [T, K]."""
        return F.rms_norm(x, (x.shape[-1],), weight, eps).to(self.dtype)

    def plain(self, x: Tensor) -> Tensor:
        """`x` [T, K] as a linear layer's input."""
        return x.to(self.dtype)

    def linear(self, layer: Linear, coded: Tensor) -> Tensor:
        """float32 [T, N]."""
        return F.linear(coded, layer.weight, layer.bias).float()

    def add_linear(self, layer: Linear, coded: Tensor, target: Tensor) -> None:
        """Add the layer's output to `target` float32 [T, N]."""
        target.add_(F.linear(coded, layer.weight, layer.bias))

    def gated(self, layer: Linear, coded: Tensor) -> Tensor:
        """silu(gate) * up of a joined gate and up projection [2 I, K], as the next layer's input [T, I]."""
        gate, up = F.linear(coded, layer.weight, layer.bias).chunk(2, dim=-1)
        return self.plain(F.silu(gate.float()) * up.float())

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What softmax attention computes with: here the same."""
        return q, k, v


class SpikeCoder(Steps):
    """Turns activations into spike counts with threshold factor `k` and tallies them.

    Where the operations offer whole layers in one call, those are used: the same arithmetic, to float noise.
    """

    true_positions = False

    def __init__(self, k: float, tally: SpikeTally, ops: Ops) -> None:
        self.k = k
        self.tally = tally
        self.ops = ops

    def at(self, k: float) -> "SpikeCoder":
        """The same with another threshold factor."""
        return type(self)(k, self.tally, self.ops)

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Spikes:
        """Spike counts of the RMSNorm of `x` float32 [T, K]."""
        return self._counted(self.ops.norm_encode(x, weight, eps, self.k))

    def plain(self, x: Tensor) -> Spikes:
        """Spike counts of `x` [T, K]."""
        return self._counted(self.ops.encode(x, self.k))

    def linear(self, layer: Linear, coded: Spikes) -> Tensor:
        """float32 [T, N]."""
        return self.ops.linear(coded, layer.weight, scale_of(layer))

    def add_linear(self, layer: Linear, coded: Spikes, target: Tensor) -> None:
        """Add the layer's output to `target` float32 [T, N]."""
        self.ops.linear(coded, layer.weight, scale_of(layer), add_to=target)

    def gated(self, layer: Linear, coded: Spikes) -> Spikes:
        """Spike counts of silu(gate) * up of a joined gate and up projection [2 I, K]: [T, I]."""
        return self._counted(self.ops.gated(coded, layer.weight, scale_of(layer), self.k))

    def norm_linear(self, layer: Linear, x: Tensor, norm: Tensor, eps: float) -> Tensor:
        """See `Steps`."""
        fused = self._fused(x.shape[0], layer)
        if fused is None:
            return super().norm_linear(layer, x, norm, eps)
        return fused.linear(x, norm, eps, self.k, layer.weight, scale_of(layer), self.tally.sums)

    def linear_plain(self, layer: Linear, x: Tensor) -> Tensor:
        """See `Steps`."""
        layers = self.ops.layers
        plain = (
            layers is not None and layer.bias is None and layer.scale is not None and layer.scale.ndim == 1
        )
        found = layers.table(x, self.k, layer.weight, scale_of(layer)) if plain and layers else None
        return super().linear_plain(layer, x) if found is None else found

    def add_plain(self, layer: Linear, x: Tensor, target: Tensor) -> None:
        """See `Steps`."""
        fused = self._fused(x.shape[0], layer)
        if fused is None:
            super().add_plain(layer, x, target)
        else:
            scale = scale_of(layer)
            fused.linear(x, None, 0.0, self.k, layer.weight, scale, self.tally.sums, target)

    def feed_forward(self, gate_up: Linear, down: Linear, hidden: Tensor, norm: Tensor, eps: float) -> None:
        """See `Steps`."""
        fused = self._fused(hidden.shape[0], gate_up, down)
        if fused is None:
            super().feed_forward(gate_up, down, hidden, norm, eps)
        else:
            scales = scale_of(gate_up), scale_of(down)
            fused.feed_forward(
                hidden, norm, eps, self.k, gate_up.weight, scales[0], down.weight, scales[1], self.tally.sums
            )

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What softmax attention computes with: here the same."""
        return q, k, v

    def _fused(self, count: int, *linears: Linear) -> FusedLayers | None:
        """Whole layers in one call, if these ones and so many tokens can be had that way."""
        layers = self.ops.layers
        if layers is None or not layers.takes(count, *(layer.weight for layer in linears)):
            return None
        for x in linears:
            if x.bias is not None or x.scale is None or x.scale.ndim != 1:
                return None
        return layers

    def _counted(self, spikes: Spikes) -> Spikes:
        self.tally.add(spikes)
        return spikes


class Coder(Protocol):
    """Makes a linear layer's input and runs the layer on it; what it makes is its own affair.

    `true_positions`: `attended` depends on the angle of rotary positions, not on their differences alone.
    """

    ops: Ops
    true_positions: bool

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Any:
        """The RMSNorm of `x` float32 [T, K], as a layer's input."""

    def plain(self, x: Tensor) -> Any:
        """`x` [T, K] as a layer's input."""

    def norm_linear(self, layer: Linear, x: Tensor, norm: Tensor, eps: float) -> Tensor:
        """The layer's output float32 [T, N] for the RMSNorm of `x` float32 [T, K]."""

    def linear_plain(self, layer: Linear, x: Tensor) -> Tensor:
        """The layer's output float32 [T, N] for `x` [T, K]."""

    def add_plain(self, layer: Linear, x: Tensor, target: Tensor) -> None:
        """Add the layer's output for `x` [T, K] to `target` float32 [T, N]."""

    def feed_forward(self, gate_up: Linear, down: Linear, hidden: Tensor, norm: Tensor, eps: float) -> None:
        """Add `down(silu(gate) * up)` of the RMSNorm of `hidden` float32 [T, d] to it."""

    def linear(self, layer: Linear, coded: Any) -> Tensor:
        """float32 [T, N]."""

    def add_linear(self, layer: Linear, coded: Any, target: Tensor) -> None:
        """Add the layer's output to `target` float32 [T, N]."""

    def gated(self, layer: Linear, coded: Any) -> Any:
        """silu(gate) * up of a joined projection [2 I, K], as the next layer's input [T, I]."""

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What softmax attention computes with, of rotated q [H, T, D], k and v [Hk, N, D]."""


def per_layer(coder: Coder, config: ModelConfig) -> list[Coder]:
    """The coder of every layer: with a threshold factor of its own where the config gives one."""
    factors = config.spike.layers if config.spike is not None else ()
    if not factors or not isinstance(coder, SpikeCoder):
        return [coder] * config.num_layers
    return [coder.at(k) for k in factors]


def scale_of(layer: Linear) -> Tensor:
    """The scale of INT8 weights; dense ones cannot take spikes."""
    if layer.scale is None:
        raise TypeError("spikes need INT8 weights with a scale")
    return layer.scale
