"""Products of spike counts with INT8 weights, exact in int32."""

from kernels.int8.cpu import spike_linear
from kernels.int8.reference import quantize_rows, spike_linear_reference

__all__ = ["quantize_rows", "spike_linear", "spike_linear_reference"]
