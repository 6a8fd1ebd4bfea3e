"""The spiking path as an INT8 matrix product (VNNI/AMX through oneDNN), exact in int32; in plain float32
products on other devices.
"""

import torch
from torch import Tensor

from kernels.spike.cpu import Spikes

EXACT = 1024
"""Products of two INT8 numbers whose sum float32 holds exactly: 1024 * 128 * 128 = 2^24."""


def int_product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` as int32 [T, N] of int8 a [T, K], b [K, N].

    Only the processor has an INT8 product for every shape; elsewhere torch multiplies pieces in float32.
    """
    return torch._int_mm(a, b) if a.is_cpu else float_product(a, b)


def float_product(a: Tensor, b: Tensor) -> Tensor:
    """As `int_product`, by float32 products of pieces short enough to be exact."""
    total = torch.zeros(len(a), b.shape[1], dtype=torch.int32, device=a.device)
    for start in range(0, a.shape[1], EXACT):
        piece = slice(start, start + EXACT)
        total += (a[:, piece].float() @ b[piece].float()).to(torch.int32)
    return total


def spike_matmul(spikes: Spikes, codes: Tensor) -> Tensor:
    """`counts @ codes^T` as int32 [T, N] for codes int8 [N, K]; |sum| must stay below 2^31 (K * 127 *
    counts).
    """
    total = int_product(spikes.low, codes.t())
    for burst in spikes.bursts:
        part = int_product(burst.digits, codes[:, burst.channels].t())
        total.index_add_(0, burst.rows, part, alpha=burst.weight)
    return total


def spike_linear(spikes: Spikes, codes: Tensor, scale: Tensor) -> Tensor:
    """`vth * (counts @ codes^T) * scale`, float32 [T, N]; codes int8 [N, K], scale float32 [N]."""
    # Converting first, then multiplying in place: int32 * float32 in one call is not vectorised by torch.
    return spike_matmul(spikes, codes).float().mul_(scale).mul_(spikes.vth)
