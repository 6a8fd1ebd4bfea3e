"""The product of one token channel by channel, silent ones skipped."""

import torch
from torch import Tensor


def event_linear_reference(counts: Tensor, vth: Tensor, columns: Tensor, scale: Tensor) -> Tensor:
    """`vth * scale * sum over firing channels c of counts_c * columns_c`, float64 [N].

    counts [K] whole numbers, vth [1], columns int8 [K, N] (a channel's weights side by side), scale [N].
    """
    total = torch.zeros(columns.shape[1], dtype=torch.float64)
    for channel in counts.nonzero().flatten().tolist():
        total += counts[channel].double() * columns[channel].double()
    return total * scale.double() * vth.double()
