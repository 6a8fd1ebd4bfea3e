"""Gated linear attention (arXiv 2312.06635): chunked prefill and one-token step."""

from kernels.gla.cpu import gla_chunked
from kernels.gla.reference import gla_recurrent

__all__ = ["gla_chunked", "gla_recurrent"]
