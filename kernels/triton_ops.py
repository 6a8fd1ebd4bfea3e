"""The operations in Triton, for CUDA-like devices (and for any tensors in Triton's interpreter).

Imported only where Triton is to run: importing it imports Triton.
"""

import torch
import triton
from torch import Tensor

from kernels.delta.triton import delta_chunked_triton
from kernels.gla.triton import gla_chunked_triton
from kernels.int8 import Excess
from kernels.int8.triton import fits_groups, spike_linear_triton
from kernels.ops import TorchOps
from kernels.rotary.triton import rotate_triton
from kernels.spike import Spikes
from kernels.spike.triton import ListedSpikes, encode_triton
from kernels.tuning import INTERPRETED, device_family
from kernels.window.reference import Sinks
from kernels.window.triton import window_attention_triton


class TritonOps(TorchOps):
    """The operations of `kernels.ops.Ops` in Triton; `dtype` is what attention multiplies in."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._bf16 = dtype == torch.bfloat16
        where = "interpreter" if INTERPRETED else f"for {device_family()}"
        self.name = f"Triton {triton.__version__} {where}"

    def norm_encode(self, x: Tensor, weight: Tensor, eps: float, k: float) -> Spikes:
        """See `Ops`."""
        return encode_triton(x, k, weight, eps)

    def encode(self, x: Tensor, k: float) -> Spikes:
        """See `Ops`."""
        return encode_triton(x, k)

    def linear(self, spikes: Spikes, codes: Tensor, scale: Tensor, add_to: Tensor | None = None) -> Tensor:
        """See `Ops`."""
        return spike_linear_triton(_listed(spikes), codes, scale, add_to)

    def gated(self, spikes: Spikes, codes: Tensor, scale: Tensor, k: float) -> Spikes:
        """See `Ops`."""
        return encode_triton(spike_linear_triton(_listed(spikes), codes, scale, gated=True), k)

    def group_linear(
        self, spikes: Spikes, codes: Tensor, scale: Tensor, excess: Excess | None = None
    ) -> Tensor:
        """See `Ops`."""
        if not fits_groups(codes.shape[1], scale.shape[1]):
            return super().group_linear(spikes, codes, scale, excess)
        out = spike_linear_triton(_listed(spikes), codes, scale)
        if excess is not None:
            beyond = spikes.counts()[:, excess.columns].float() * excess.values * spikes.vth
            out.index_add_(1, excess.rows, beyond)
        return out

    def window_attention(
        self, q: Tensor, k: Tensor, v: Tensor, left: int, sinks: Sinks | None = None, position: int = 0
    ) -> Tensor:
        """See `Ops`."""
        return window_attention_triton(q, k, v, left, sinks)

    def gated_linear_attention(
        self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `Ops`."""
        return gla_chunked_triton(q, k, v, log_decay, state, bf16=self._bf16)

    def gated_delta_rule(
        self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `Ops`."""
        return delta_chunked_triton(q, k, v, log_decay, beta, state, bf16=self._bf16)

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor, out: Tensor | None = None) -> Tensor:
        """See `Ops`."""
        return rotate_triton(x, cos, sin, out)


def self_test(device: torch.device) -> None:
    """Run one small kernel on `device`; whatever Triton raises passes through, a wrong result is
    ArithmeticError.
    """
    x = torch.linspace(-1, 1, 40, device=device).repeat(2, 1)
    if not torch.equal(encode_triton(x, 3.0).counts(), TorchOps().encode(x, 3.0).counts()):
        raise ArithmeticError("a test kernel gave a wrong result")


def _listed(spikes: Spikes) -> ListedSpikes:
    if not isinstance(spikes, ListedSpikes):
        raise TypeError("these kernels take the spikes that they encoded")
    return spikes
