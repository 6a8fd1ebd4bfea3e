"""INT8 weights per output channel and their product with spike counts, in plain arithmetic."""

import torch
from torch import Tensor


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric INT8 per output channel: `weight` [N, K] -> codes int8 [N, K], scale float32 [N].

    `scale = max|row| / 127`; a row of zeros gets scale 1.
    """
    scale = weight.float().abs().amax(dim=1) / 127.0
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return torch.round(weight.float() / scale[:, None]).clamp_(-127, 127).to(torch.int8), scale


def spike_linear_reference(counts: Tensor, vth: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """`vth * (counts @ codes^T) * scale` in float64: counts [T, K], vth [T, 1], codes [N, K], scale [N] ->
    [T, N].
    """
    return counts.double() @ codes.double().T * vth.double() * scale.double()
