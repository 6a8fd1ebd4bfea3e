"""Whole linear layers in one call of the compiled library."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels.native.library import NativeLibrary
from kernels.native.memory import Arena

AMX_TOKENS = 32
"""With AMX, torch's own product of more tokens than this is faster than ours with VNNI."""

TABLE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class NativeLayers:
    """See `kernels.layers.FusedLayers`. Weights lie by input channel, so that those of silent channels can
    be left unread; any number of tokens with AVX-512 VNNI, otherwise one or two.
    """

    call: Any
    limit: int
    arena: Arena = field(default_factory=Arena, compare=False, repr=False)

    @staticmethod
    def of(library: NativeLibrary) -> "NativeLayers":
        """The layers of a loaded library."""
        amx = torch.cpu.get_capabilities().get("amx_int8", False)
        limit = min(library.layer_limit, AMX_TOKENS) if amx else library.layer_limit
        return NativeLayers(library.functions, limit)

    def arrange(self, codes: Tensor) -> Tensor:
        """See `FusedLayers`: [N, K] as a view of [K, N]."""
        return self.arena.empty(*codes.t().shape).copy_(codes.t()).t()

    def takes(self, count: int, *codes: Tensor) -> bool:
        """See `FusedLayers`."""
        return count <= self.limit and all(
            c.dtype == torch.int8 and c.stride() == (1, c.shape[0]) for c in codes
        )

    def linear(
        self, x: Tensor, norm: Tensor | None, eps: float, k: float, codes: Tensor, scale: Tensor,
        fired: NDArray[np.int64], add_to: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """See `FusedLayers`."""
        x = x.contiguous()
        rows, columns = x.shape
        direct = add_to is not None and add_to.is_contiguous()
        out = add_to if add_to is not None and direct else x.new_empty(rows, codes.shape[0])
        self.call.engram_linear(
            x.data_ptr(), 0 if norm is None else norm.data_ptr(), eps, k, codes.data_ptr(), scale.data_ptr(),
            rows, columns, codes.shape[0], direct, out.data_ptr(), fired.ctypes.data,
        )  # fmt: skip
        return out if add_to is None or direct else add_to.add_(out)

    def feed_forward(
        self, hidden: Tensor, norm: Tensor, eps: float, k: float, gate_up: Tensor, up_scale: Tensor,
        down: Tensor, down_scale: Tensor, fired: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """See `FusedLayers`."""
        stream = hidden.contiguous()
        self.call.engram_feed_forward(
            stream.data_ptr(), norm.data_ptr(), eps, k, gate_up.data_ptr(), up_scale.data_ptr(),
            down.data_ptr(), down_scale.data_ptr(), *stream.shape, down.shape[1], fired.ctypes.data,
        )  # fmt: skip
        if stream is not hidden:
            hidden.copy_(stream)

    def table(self, x: Tensor, k: float, codes: Tensor, scale: Tensor) -> Tensor | None:
        """See `FusedLayers`."""
        if len(x) > min(self.limit, TABLE_TOKENS) or codes.dtype != torch.int8 or not codes.is_contiguous():
            return None
        x = x.float().contiguous()
        out = x.new_empty(len(x), len(codes))
        self.call.engram_table(
            x.data_ptr(), k, codes.data_ptr(), scale.data_ptr(), *x.shape, len(codes), out.data_ptr()
        )
        return out
