"""Block attention part by part: each part is fetched once for all queries that chose a block of it.

Parts are joined by the running maximum and sum of the softmax, so memory does not grow with the number of
keys, and a part that nobody chose is not touched.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.moba.parts import Part

QUERY_BLOCK = 128
SCORES = 1 << 22
"""Scores computed at a time."""


def moba_attention(
    q: Tensor,
    own: Tensor,
    parts: Sequence[Part],
    means: Tensor,
    topk: int | None,
) -> Tensor:
    """`moba_reference` for queries [H, T, D] (float32 or float64) that lie in one block -> [T, H, D].

    `own` [2, Hk, N, D]: keys and values of that block up to the last query, the last T being the queries'
    own. `parts`: all earlier blocks in order; `means` [Hk, B, D] of their keys, not looked at if `topk` is
    None. Products are taken in the keys' dtype, sums in the queries'.
    """
    heads, length, dim = q.shape
    kv_heads = own.shape[1]
    running = _Running(heads * length, q)
    scaled = (q * dim**-0.5).to(own.dtype).reshape(kv_heads, -1, dim)
    _attend_own(q, own, running)
    if topk is None or topk > means.shape[1]:
        for part in parts:
            _attend_all(scaled, part.load(), running)
    elif topk > 1:
        chosen = _choose(q, means, topk - 1)
        first = 0
        for part in parts:
            entries = ((chosen >= first) & (chosen < first + part.blocks)).nonzero(as_tuple=True)
            if len(entries[0]):
                _attend_chosen(scaled, part, entries[0], chosen[entries] - first, running)
            first += part.blocks
    return running.result().view(heads, length, dim).transpose(0, 1)


class _Running:
    """Softmax sums so far of each row (head, query): maximum, sum of weights, weighted values."""

    def __init__(self, rows: int, like: Tensor) -> None:
        # Finite, so that a row which has seen nothing yet gives no inf - inf.
        self.top = like.new_full((rows,), torch.finfo(like.dtype).min)
        self.total = like.new_zeros(rows)
        self.mixed = like.new_zeros(rows, like.shape[-1])

    def add(self, rows: Tensor, scores: Tensor, values: Tensor) -> None:
        """Take in scores [P, M, N] and values [P, N, D] for `rows` [P, M]; a row of -1 is nobody's."""
        top, weights = _weights(scores)
        mixed = torch.matmul(weights.to(values.dtype), values).to(self.mixed.dtype)
        real = rows >= 0
        rows, top, total, mixed = rows[real], top[real], weights.sum(dim=-1)[real], mixed[real]
        highest = self.top.scatter_reduce(0, rows, top, "amax")
        kept, share = (self.top - highest).exp(), (top - highest[rows]).exp()
        self.top = highest
        self.total.mul_(kept).index_add_(0, rows, total * share)
        self.mixed.mul_(kept[:, None]).index_add_(0, rows, mixed * share[:, None])

    def result(self) -> Tensor:
        """Rows' outputs [rows, D]."""
        return self.mixed / self.total[:, None]


def _weights(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Row maxima and exponentials relative to them, in place; every row has a finite score."""
    top = scores.amax(dim=-1)
    return top, scores.sub_(top[..., None]).exp_()


def _attend_own(q: Tensor, own: Tensor, running: _Running) -> None:
    """The queries' own block, causally; cut by places in the block, so chunking does not show."""
    heads, length, dim = q.shape
    kv_heads, count = own.shape[1], own.shape[2]
    group, offset = heads // kv_heads, own.shape[2] - length
    grid = torch.arange(heads * length, device=q.device).view(kv_heads, group, length)
    stop = 0
    while stop < length:
        start, stop = stop, min(stop + QUERY_BLOCK - (offset + stop) % QUERY_BLOCK, length)
        high = min(offset + stop, count)
        scaled = (q[:, start:stop] * dim**-0.5).to(own.dtype).reshape(kv_heads, -1, dim)
        scores = torch.matmul(scaled, own[0, :, :high].transpose(1, 2)).to(q.dtype)
        later = torch.ones(stop - start, high, dtype=torch.bool, device=q.device).triu(offset + start + 1)
        scores.view(kv_heads, group, -1, high).masked_fill_(later, float("-inf"))
        running.add(grid[:, :, start:stop].reshape(kv_heads, -1), scores, own[1, :, :high])


def _attend_all(scaled: Tensor, both: Tensor, running: _Running) -> None:
    """Every query (scaled [Hk, G T, D]) over a part's keys and values [2, Hk, N, D]."""
    keys, values = both.to(scaled.device).unbind()
    kv_heads, rows, _ = scaled.shape
    grid = torch.arange(kv_heads * rows, device=scaled.device).view(kv_heads, rows)
    step = max(1, SCORES // (kv_heads * keys.shape[1]))
    for start in range(0, rows, step):
        some = slice(start, start + step)
        scores = torch.matmul(scaled[:, some], keys.transpose(1, 2)).to(running.mixed.dtype)
        running.add(grid[:, some], scores, values)


def _choose(q: Tensor, means: Tensor, amount: int) -> Tensor:
    """The `amount` blocks of largest `q . mean` for each row (head, query): [H T, amount]."""
    heads, length, dim = q.shape
    kv_heads, count, _ = means.shape
    rows = q.reshape(kv_heads, -1, dim)
    step = max(1, SCORES // (kv_heads * count))
    target = means.to(q.dtype).transpose(1, 2)
    picked = [
        torch.matmul(rows[:, start : start + step], target).topk(amount, dim=-1, sorted=False).indices
        for start in range(0, rows.shape[1], step)
    ]
    return torch.cat(picked, dim=1).view(heads * length, amount)


def _attend_chosen(scaled: Tensor, part: Part, rows: Tensor, blocks: Tensor, running: _Running) -> None:
    """Queries `rows` [E] (into scaled [Hk G T, D]) over one block each, `blocks` [E] of the part.

    A pair is one block of one key/value head; pairs that about as many queries chose are computed together.
    """
    _, per_head, dim = scaled.shape
    both = part.load().to(scaled.device).unflatten(2, (part.blocks, -1))
    size = both.shape[3]
    flat = scaled.reshape(-1, dim)
    pairs, order = (rows // per_head * part.blocks + blocks).sort(stable=True)
    pairs, counts = pairs.unique_consecutive(return_counts=True)
    starts = counts.cumsum(0) - counts
    busiest = counts.argsort(descending=True, stable=True)
    stop = 0
    while stop < len(busiest):
        most = int(counts[busiest[stop]])
        start, stop = stop, stop + max(1, SCORES // (size * max(most, dim)))
        some = busiest[start:stop]
        place = torch.arange(most, device=rows.device)
        table = rows[order[(starts[some, None] + place).clamp_max(len(rows) - 1)]]
        table = table.masked_fill(place >= counts[some, None], -1)
        keys, values = both[:, pairs[some] // part.blocks, pairs[some] % part.blocks].unbind()
        step = max(1, SCORES // (size * len(some)))
        for column in range(0, most, step):
            chosen = table[:, column : column + step]
            scores = torch.matmul(flat[chosen.clamp_min(0)], keys.transpose(1, 2)).to(running.mixed.dtype)
            running.add(chosen, scores, values)
