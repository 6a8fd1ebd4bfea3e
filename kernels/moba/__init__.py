"""Mixture of block attention (MoBA, arXiv 2502.13189): softmax attention over chosen blocks of keys."""

from kernels.moba.cpu import moba_attention
from kernels.moba.parts import Part, TensorPart
from kernels.moba.reference import moba_reference

__all__ = ["Part", "TensorPart", "moba_attention", "moba_reference"]
