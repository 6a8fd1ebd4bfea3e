"""What a linear layer takes in: dense activations or spike counts, and a tally of the spikes fired."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.int8 import Excess
from kernels.ops import Ops
from kernels.spike import Spikes

TALLY_STRIDE = 32
"""Every 32nd token of a chunk is counted: the shares are means over thousands of tokens either way."""


@dataclass(slots=True)
class SpikeTally:
    """Running sums over the sampled places (token, channel) of every coded layer input."""

    places: int = 0
    spikes: int = 0
    silent: int = 0
    waiting: list[Tensor] = field(default_factory=list)
    """Counts that a device has yet to hand over: int32 [samples, 2] of set bits and silent channels."""

    def reset(self) -> None:
        """Forget all that was counted."""
        self.places = self.spikes = self.silent = 0
        self.waiting.clear()

    def add(self, spikes: Spikes) -> None:
        """Count a sample of `spikes` [T, K]; a spike is a set bit of |count| (bidirectional bitwise
        coding).
        """
        fired = spikes.fired
        if fired is not None:
            self.places += len(fired) * spikes.low.shape[1]
            self.waiting.append(fired)
            return
        counts = np.abs(spikes.counts(slice(None, None, TALLY_STRIDE)).cpu().numpy())
        self.places += counts.size
        self.silent += counts.size - int(np.count_nonzero(counts))
        self.spikes += int(np.bitwise_count(counts).sum(dtype=np.int64))

    def spikes_per_channel(self) -> float | None:
        """Mean spikes a channel fires for one token; None where nothing was coded."""
        self._collect()
        return self.spikes / self.places if self.places else None

    def silent_share(self) -> float | None:
        """Share of channels that fire nothing; None where nothing was coded."""
        self._collect()
        return self.silent / self.places if self.places else None

    def _collect(self) -> None:
        if self.waiting:
            spikes, silent = torch.cat(self.waiting).sum(dim=0, dtype=torch.int64).tolist()
            self.spikes, self.silent = self.spikes + spikes, self.silent + silent
            self.waiting.clear()


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights of a linear layer: dense `weight` [N, K], or INT8 `weight` with `scale` [N] (or [N, G] for G
    groups of input channels, then with `excess` beyond INT8) to be fed by spikes; `bias` [N] or none.
    """

    weight: Tensor
    scale: Tensor | None = None
    bias: Tensor | None = None
    excess: Excess | None = None


class DenseCoder:
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


class SpikeCoder:
    """Turns activations into spike counts with threshold factor `k` and tallies them."""

    true_positions = False

    def __init__(self, k: float, tally: SpikeTally, ops: Ops) -> None:
        self.k = k
        self.tally = tally
        self.ops = ops

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

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What softmax attention computes with: here the same."""
        return q, k, v

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

    def linear(self, layer: Linear, coded: Any) -> Tensor:
        """float32 [T, N]."""

    def add_linear(self, layer: Linear, coded: Any, target: Tensor) -> None:
        """Add the layer's output to `target` float32 [T, N]."""

    def gated(self, layer: Linear, coded: Any) -> Any:
        """silu(gate) * up of a joined projection [2 I, K], as the next layer's input [T, I]."""

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What softmax attention computes with, of rotated q [H, T, D], k and v [Hk, N, D]."""


def scale_of(layer: Linear) -> Tensor:
    """The scale of INT8 weights; dense ones cannot take spikes."""
    if layer.scale is None:
        raise TypeError("spikes need INT8 weights with a scale")
    return layer.scale
