"""The gated delta rule token by token."""

import torch
from torch import Tensor

UNIT_EPS = 1e-6


def unit(x: Tensor) -> Tensor:
    """`x / sqrt(sum(x^2) + 1e-6)` over the last axis."""
    return x * torch.rsqrt((x * x).sum(dim=-1, keepdim=True) + UNIT_EPS)


def delta_recurrent(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`S = exp(g) S;  u = beta (v - S^T k);  S = S + k u^T;  o = S^T q` (arXiv 2412.06464, equation 10),
    queries and keys brought to unit length, queries then scaled by K^-0.5.

    q, k [..., T, K], v [..., T, V], log_decay (<= 0) and beta [..., T], state [..., K, V] or None for zero.
    Returns o [..., T, V] and the final state, in the inputs' dtype (float32 or float64).
    """
    q, k = unit(q) * q.shape[-1] ** -0.5, unit(k)
    current = q.new_zeros(*q.shape[:-2], q.shape[-1], v.shape[-1]) if state is None else state.to(q.dtype)
    outputs = []
    for t in range(q.shape[-2]):
        current = log_decay[..., t, None, None].exp() * current
        held = (k[..., t, None, :] @ current)[..., 0, :]
        written = beta[..., t, None] * (v[..., t, :] - held)
        current = current + k[..., t, :, None] * written[..., None, :]
        outputs.append((q[..., t, None, :] @ current)[..., 0, :])
    out = torch.stack(outputs, dim=-2) if outputs else v.new_zeros(*q.shape[:-2], 0, v.shape[-1])
    return out, current
