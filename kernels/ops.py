"""The operations of the CPU path behind one interface, so that the engine says which implementation it
runs.
"""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

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
        rotated.copy_(rotate(keys.float(), cos, sin))
        return rotate(q, cos, sin)
