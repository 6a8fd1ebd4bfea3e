"""Block attention by a full masked softmax in float64: the truth the fast path is held to."""

import torch
from torch import Tensor


def moba_reference(q: Tensor, k: Tensor, v: Tensor, block: int, topk: int | None) -> Tensor:
    """`softmax(q k^T / sqrt(D)) v` over the keys of a query's own block, causally, and of `topk - 1` earlier
    blocks: those with the largest `q . mean(keys of the block)`, chosen by each query head (golden README
    7.3; arXiv 2502.13189, section 2.2). `topk` None takes all.

    q [H, T, D] are the last T of N places, k and v [Hk, N, D]. Returns [H, T, D] float64.
    """
    heads, length, dim = q.shape
    q, count = q.double(), k.shape[1]
    keys, values = (x.double().repeat_interleave(heads // len(k), 0) for x in (k, v))
    place, other = torch.arange(count - length, count), torch.arange(count)
    seen = (other <= place[:, None]).expand(heads, -1, -1)
    if topk is not None:
        whole = count // block
        means = keys[:, : whole * block].unflatten(1, (whole, block)).mean(dim=2)
        earlier = torch.arange(whole) < place[:, None] // block
        gate = (q @ means.transpose(1, 2)).masked_fill(~earlier, float("-inf"))
        chosen = torch.zeros(heads, length, count // block + 1, dtype=torch.bool)
        chosen.scatter_(2, gate.topk(min(topk - 1, whole), dim=-1).indices, True)
        chosen[..., :whole] &= earlier
        chosen.scatter_(2, (place // block)[None, :, None].expand(heads, -1, 1), True)
        seen = seen & chosen[..., other // block]
    scores = (q @ keys.transpose(1, 2) * dim**-0.5).masked_fill(~seen, float("-inf"))
    return torch.softmax(scores, dim=-1) @ values
