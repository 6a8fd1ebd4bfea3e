"""The spiking path as an INT8 matrix product (VNNI/AMX through oneDNN), exact in int32."""

import torch
from torch import Tensor

from kernels.spike.cpu import Spikes


def spike_matmul(spikes: Spikes, codes: Tensor) -> Tensor:
    """`counts @ codes^T` as int32 [T, N] for codes int8 [N, K]; |sum| must stay below 2^31 (K * 127 *
    counts).
    """
    total = torch._int_mm(spikes.low, codes.t())
    for burst in spikes.bursts:
        part = torch._int_mm(burst.digits, codes[:, burst.channels].t())
        total.index_add_(0, burst.rows, part, alpha=burst.weight)
    return total


def spike_linear(spikes: Spikes, codes: Tensor, scale: Tensor) -> Tensor:
    """`vth * (counts @ codes^T) * scale`, float32 [T, N]; codes int8 [N, K], scale float32 [N]."""
    # Converting first, then multiplying in place: int32 * float32 in one call is not vectorised by torch.
    return spike_matmul(spikes, codes).float().mul_(scale).mul_(spikes.vth)
