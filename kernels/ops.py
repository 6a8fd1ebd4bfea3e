"""The operations of the engine behind one interface, so that it says which implementation it runs."""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from kernels.delta import delta_chunked
from kernels.gla import gla_chunked
from kernels.int8 import Excess, group_linear
from kernels.int8.cpu import spike_matmul
from kernels.layers import FusedLayers
from kernels.rotary import rotate
from kernels.spike.cpu import Spikes, encode, norm_encode
from kernels.window.cpu import window_attention
from kernels.window.reference import Sinks


class Ops(Protocol):
    """What a backend computes; `TorchOps` is the plain form of each."""

    name: str
    layers: FusedLayers | None

    def norm_encode(self, x: Tensor, weight: Tensor, eps: float, k: float) -> Spikes:
        """Spike counts of the RMSNorm of `x` float32 [T, K]."""

    def encode(self, x: Tensor, k: float) -> Spikes:
        """Spike counts of `x` float32 [T, K]."""

    def linear(self, spikes: Spikes, codes: Tensor, scale: Tensor, add_to: Tensor | None = None) -> Tensor:
        """`vth * scale * (counts @ codes^T)` float32 [T, N], codes int8 [N, K], scale [N]; added to `add_to`
        in place if given.
        """

    def gated(self, spikes: Spikes, codes: Tensor, scale: Tensor, k: float) -> Spikes:
        """Spike counts of silu(gate) * up of the joined projection `codes` int8 [2 I, K]: [T, I]."""

    def group_linear(
        self, spikes: Spikes, codes: Tensor, scale: Tensor, excess: Excess | None = None
    ) -> Tensor:
        """float32 [T, N] with weights INT8 by groups; see `kernels.int8.group_linear`."""

    def gated_linear_attention(
        self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Outputs [Hk, G, T, V] and the new state; see `kernels.gla.gla_chunked`."""

    def gated_delta_rule(
        self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Outputs [H, T, V] and the new state; see `kernels.delta.delta_chunked`."""

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor, out: Tensor | None = None) -> Tensor:
        """`x` [H, T, D] rotated by `cos`, `sin` [T, D/2], in float32; into `out` (its dtype) if given."""

    def swiglu_encode(self, total: Tensor, scale: Tensor, vth: Tensor, k: float) -> Spikes:
        """Spike counts of silu(gate) * up from the integer product `total` int32 [T, 2 I] with `scale` [2
        I], `vth` [T, 1].
        """

    def dequantize(self, total: Tensor, scale: Tensor, vth: Tensor, add_to: Tensor | None = None) -> Tensor:
        """`total * scale * vth` float32 [T, N] from int32; added to `add_to` in place if given."""

    def window_attention(
        self, q: Tensor, k: Tensor, v: Tensor, left: int, sinks: Sinks | None = None, position: int = 0
    ) -> Tensor:
        """float32 [T, H, D]; see `kernels.window.window_attention`."""

    def place(
        self, q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, rotated: Tensor,
        values: Tensor,
    ) -> Tensor:  # fmt: skip
        """Rotated q [H, T, D] of q; k, k rotated and v [Hk, T, D] (float32) are written to `keys`,
        `rotated` and `values` [Hk, T, D] of the cache's dtype. cos, sin [T, D/2].
        """


class TorchOps:
    """Every operation in plain torch: works everywhere."""

    name = "torch"
    layers: FusedLayers | None = None

    def norm_encode(self, x: Tensor, weight: Tensor, eps: float, k: float) -> Spikes:
        """See `Ops`."""
        return norm_encode(x, weight, eps, k)

    def encode(self, x: Tensor, k: float) -> Spikes:
        """See `Ops`."""
        return encode(x, k)

    def linear(self, spikes: Spikes, codes: Tensor, scale: Tensor, add_to: Tensor | None = None) -> Tensor:
        """See `Ops`."""
        return self.dequantize(spike_matmul(spikes, codes), scale, spikes.vth, add_to)

    def gated(self, spikes: Spikes, codes: Tensor, scale: Tensor, k: float) -> Spikes:
        """See `Ops`."""
        return self.swiglu_encode(spike_matmul(spikes, codes), scale, spikes.vth, k)

    def group_linear(
        self, spikes: Spikes, codes: Tensor, scale: Tensor, excess: Excess | None = None
    ) -> Tensor:
        """See `Ops`."""
        return group_linear(spikes, codes, scale, excess)

    def gated_linear_attention(
        self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `Ops`."""
        return gla_chunked(q, k, v, log_decay, state)

    def gated_delta_rule(
        self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `Ops`."""
        return delta_chunked(q, k, v, log_decay, beta, state)

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor, out: Tensor | None = None) -> Tensor:
        """See `Ops`."""
        turned = rotate(x.float(), cos, sin)
        return turned if out is None else out.copy_(turned)

    def swiglu_encode(self, total: Tensor, scale: Tensor, vth: Tensor, k: float) -> Spikes:
        """See `Ops`."""
        both = self.dequantize(total, scale, vth)
        inner = both.shape[1] // 2
        return encode(F.silu(both[:, :inner]).mul_(both[:, inner:]), k)

    def dequantize(self, total: Tensor, scale: Tensor, vth: Tensor, add_to: Tensor | None = None) -> Tensor:
        """See `Ops`."""
        # Converting first, then multiplying in place: int32 * float32 in one call is not vectorised by torch.
        value = total.float().mul_(scale).mul_(vth)
        return value if add_to is None else add_to.add_(value)

    def window_attention(
        self, q: Tensor, k: Tensor, v: Tensor, left: int, sinks: Sinks | None = None, position: int = 0
    ) -> Tensor:
        """See `Ops`."""
        return window_attention(q, k, v, left, sinks, position).float()

    def place(
        self, q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, rotated: Tensor,
        values: Tensor,
    ) -> Tensor:  # fmt: skip
        """See `Ops`."""
        keys.copy_(k)
        values.copy_(v)
        # Rotate what the cache holds (rounded keys), so that a reloaded state gives the same bits.
        self.rotate(keys, cos, sin, out=rotated)
        return self.rotate(q, cos, sin)
