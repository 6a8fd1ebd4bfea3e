"""Steps of a decoder made of a coder's single operations, where no compiled whole replaces them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from engine.coding import Coder, Linear


class Steps:
    """See `engine.coding.Coder`."""

    def norm_linear(self: Coder, layer: Linear, x: Tensor, norm: Tensor, eps: float) -> Tensor:
        """The layer's output float32 [T, N] for the RMSNorm of `x` float32 [T, K]."""
        return self.linear(layer, self.norm(x, norm, eps))

    def linear_plain(self: Coder, layer: Linear, x: Tensor) -> Tensor:
        """The layer's output float32 [T, N] for `x` [T, K]."""
        return self.linear(layer, self.plain(x))

    def add_plain(self: Coder, layer: Linear, x: Tensor, target: Tensor) -> None:
        """Add the layer's output for `x` [T, K] to `target` float32 [T, N]."""
        self.add_linear(layer, self.plain(x), target)

    def feed_forward(
        self: Coder, gate_up: Linear, down: Linear, hidden: Tensor, norm: Tensor, eps: float
    ) -> None:
        """Add `down(silu(gate) * up)` of the RMSNorm of `hidden` float32 [T, d] to it."""
        self.add_linear(down, self.gated(gate_up, self.norm(hidden, norm, eps)), hidden)
