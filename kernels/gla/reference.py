"""Gated linear attention token by token."""

import torch
from torch import Tensor


def gla_recurrent(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    state: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """`S_t = diag(exp(g_t)) S_{t-1} + k_t v_t^T`, `o_t = (scale q_t)^T S_t` (Yang et al. 2024, equation 3).

    q, k, log_decay (<= 0) [..., T, K], v [..., T, V], state [..., K, V] or None for zero; scale defaults to
    K^-0.5. Returns o [..., T, V] and the final state, in the inputs' dtype (float32 or float64).
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    current = q.new_zeros(*q.shape[:-2], q.shape[-1], v.shape[-1]) if state is None else state.to(q.dtype)
    outputs = []
    for t in range(q.shape[-2]):
        written = k[..., t, :, None] * v[..., t, None, :]
        current = log_decay[..., t, :].exp()[..., None] * current + written
        outputs.append((scale * q[..., t, None, :] @ current)[..., 0, :])
    out = torch.stack(outputs, dim=-2) if outputs else v.new_zeros(*q.shape[:-2], 0, v.shape[-1])
    return out, current
