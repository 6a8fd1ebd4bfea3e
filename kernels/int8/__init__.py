"""Products of spike counts with INT8 weights, exact in int32."""

from kernels.int8.cpu import spike_linear
from kernels.int8.group import (
    Excess,
    group_linear,
    group_linear_reference,
    quantize_groups,
    quantize_symmetric,
)
from kernels.int8.reference import quantize_rows, spike_linear_reference

__all__ = [
    "Excess",
    "group_linear",
    "group_linear_reference",
    "quantize_groups",
    "quantize_rows",
    "quantize_symmetric",
    "spike_linear",
    "spike_linear_reference",
]
