"""Window attention by a full masked softmax in float64: the truth the fast paths are held to."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sinks:
    """The first S tokens of a context, kept when the window has left them behind (StreamingLLM, arXiv
    2309.17453).

    `keys`, `values` [Hk, S, D]; keys are rotated by minus their fixed distance, so they meet unrotated
    `queries` [H, T, D]. `position` is the first query's place in the whole context. Sink i is seen by the
    query at t when i < t - left.
    """

    keys: Tensor
    values: Tensor
    queries: Tensor
    position: int


def window_attention_reference(
    q: Tensor, k: Tensor, v: Tensor, left: int, sinks: Sinks | None = None
) -> tuple[Tensor, Tensor]:
    """`softmax(q k^T / sqrt(D)) v` over keys j with i - left <= j <= i; queries are the last T of N keys.

    q [H, T, D], k and v [Hk, N, D]; left = -1 sees all earlier keys. Returns out [H, T, D] and lse [H, T],
    float64.
    """
    heads, length, dim = q.shape
    group = heads // k.shape[0]
    keys = k.double().repeat_interleave(group, 0)
    values = v.double().repeat_interleave(group, 0)
    place = torch.arange(length)[:, None] + k.shape[1] - length
    other = torch.arange(k.shape[1])[None, :]
    seen = (other <= place) & ((other >= place - left) if left >= 0 else torch.tensor(True))
    scores = (q.double() @ keys.transpose(1, 2) * dim**-0.5).masked_fill(~seen, float("-inf"))
    if sinks is not None:
        sink_keys = sinks.keys.double().repeat_interleave(group, 0)
        extra = sinks.queries.double() @ sink_keys.transpose(1, 2) * dim**-0.5
        behind = (
            torch.arange(sink_keys.shape[1])[None, :] < sinks.position + torch.arange(length)[:, None] - left
        )
        scores = torch.cat((extra.masked_fill(~behind, float("-inf")), scores), dim=2)
        values = torch.cat((sinks.values.double().repeat_interleave(group, 0), values), dim=1)
    return torch.softmax(scores, dim=-1) @ values, torch.logsumexp(scores, dim=-1)
