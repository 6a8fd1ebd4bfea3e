"""The gated delta rule (Gated DeltaNet, arXiv 2412.06464): chunked prefill and one-token step."""

from kernels.delta.cpu import delta_chunked
from kernels.delta.reference import delta_recurrent, unit

__all__ = ["delta_chunked", "delta_recurrent", "unit"]
