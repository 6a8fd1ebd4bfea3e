"""Whole linear layers of a spiking decoder behind one interface: encode, multiply, and what comes after."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class FusedLayers(Protocol):
    """Layers in one call each; `fired` int64 [3] gains places, spikes and silent places of sampled tokens.

    Codes are int8 [N, K] in the layout that `arrange` gives, scales float32 [N].
    """

    def arrange(self, codes: Tensor) -> Tensor:
        """The same [N, K] in the layout that the layers want in memory."""

    def takes(self, count: int, *codes: Tensor) -> bool:
        """Whether `count` tokens through weights laid out like these are done here, and sooner than in
        single operations.
        """

    def linear(
        self, x: Tensor, norm: Tensor | None, eps: float, k: float, codes: Tensor, scale: Tensor,
        fired: NDArray[np.int64], add_to: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """The layer's output float32 [T, N] for `x` float32 [T, K], spike-coded after an RMSNorm if `norm`
        [K] is given; added to `add_to` in place if given.
        """

    def feed_forward(
        self, hidden: Tensor, norm: Tensor, eps: float, k: float, gate_up: Tensor, up_scale: Tensor,
        down: Tensor, down_scale: Tensor, fired: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """Add `down(silu(gate) * up)` of the RMSNorm of `hidden` float32 [T, K] to it; gate_up [2 I, K],
        down [K, I].
        """

    def table(self, x: Tensor, k: float, codes: Tensor, scale: Tensor) -> Tensor | None:
        """float32 [T, N] for `x` [T, K] and codes that lie by output, contiguous [N, K]; None if single
        operations are sooner.
        """
