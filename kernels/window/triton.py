"""Window attention in Triton: online softmax over blocks of keys, sinks first, heads grouped.

Prefill: one block of queries of one head a program. Step (few queries): the queries of a group of heads
together, the keys split among programs, partial results joined by a second kernel (flash-decoding).
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.tuning import block_of, product_types, tuned
from kernels.window.reference import Sinks

STEP_QUERIES = 4
SPLIT = 256
LOG2_E = 1.4426950408889634
HIDDEN = tl.constexpr(float("-inf"))

CHOICES = {
    "hopper": [
        ({"BM": 128, "BN": 64}, 4, 3), ({"BM": 128, "BN": 128}, 8, 2), ({"BM": 64, "BN": 64}, 4, 3),
        ({"BM": 128, "BN": 64}, 8, 3), ({"BM": 64, "BN": 32}, 4, 2),
    ],
    "ampere": [({"BM": 128, "BN": 64}, 4, 2), ({"BM": 64, "BN": 64}, 4, 2), ({"BM": 64, "BN": 32}, 4, 3)],
    "amd": [({"BM": 128, "BN": 64}, 4, 1), ({"BM": 64, "BN": 64}, 4, 1)],
    "other": [({"BM": 64, "BN": 32}, 4, 1)],
    "interpreter": [({"BM": 64, "BN": 64}, 1, 1)],
}  # fmt: skip


def window_attention_triton(q: Tensor, k: Tensor, v: Tensor, left: int, sinks: Sinks | None = None) -> Tensor:
    """As `window_attention_reference`: q float32 [H, T, D], k, v [Hk, N, D] -> float32 [T, H, D].

    Keys in bfloat16 are multiplied as such (queries and weights rounded alike), float32 ones exactly; softmax
    and sums are float32. Any strides with a contiguous last axis.
    """
    heads, length, dim = q.shape
    out = torch.empty(length, heads, dim, dtype=torch.float32, device=q.device)
    if length == 0:
        return out
    q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
    amount = 0 if sinks is None else sinks.keys.shape[1]
    plain, sink_k, sink_v, position = q, k, v, 0
    if sinks is not None and amount:
        plain = sinks.queries if sinks.queries.stride(-1) == 1 else sinks.queries.contiguous()
        sink_k, sink_v, position = sinks.keys.contiguous(), sinks.values.contiguous(), sinks.position
    # Sink i is seen by query t where i < behind + t.
    behind = position - left
    tensors = (q, plain, k, v, sink_k, sink_v)
    strides = (*q.stride()[:2], *plain.stride()[:2], *k.stride()[:2], *v.stride()[:2])
    numbers = (dim**-0.5 * LOG2_E, length, k.shape[1], dim, left, behind)
    settings = {"SINKS": amount, "BLOCK_S": block_of(amount), "BLOCK_D": block_of(dim)}
    settings |= product_types(k.dtype == torch.bfloat16) | {"WINDOWED": left >= 0}
    if length <= STEP_QUERIES:
        return _step(out, tensors, strides, numbers, settings)

    def grid(meta: dict[str, int]) -> tuple[int, ...]:
        return triton.cdiv(length, meta["BM"]), heads

    _prefill[grid](*tensors, out, *strides, *numbers, heads // k.shape[0], **settings)
    return out


def _step(
    out: Tensor, tensors: tuple[Tensor, ...], strides: tuple[int, ...], numbers: tuple[Any, ...],
    settings: dict[str, Any],
) -> Tensor:  # fmt: skip
    """Few queries: partial softmaxes over pieces of the keys, then their sum."""
    length, heads, dim = out.shape
    _, _, keys, _, left, _ = numbers
    kv_heads = tensors[2].shape[0]
    seen = keys if left < 0 else min(keys, length + left)
    splits = triton.cdiv(seen, SPLIT)
    new: dict[str, Any] = {"dtype": torch.float32, "device": out.device}
    part = torch.empty(splits, heads, length, dim, **new)
    top, total = torch.empty(splits, heads, length, **new), torch.empty(splits, heads, length, **new)
    group = heads // kv_heads
    _split[(splits, kv_heads)](
        *tensors, part, top, total, *strides, *numbers, group, keys - seen,
        ROWS=block_of(group * length), SPLIT=SPLIT, BN=64, **settings,
    )  # fmt: skip
    _join[(length, heads)](
        part, top, total, out, splits, length, dim,
        BLOCK=block_of(splits, 1), BLOCK_D=settings["BLOCK_D"],
    )  # fmt: skip
    return out


@triton.jit
def _sinks(
    query, sink_k, sink_v, kv, gone, d, dim, mixed,
    SINKS: tl.constexpr, BLOCK_S: tl.constexpr, ROUND: tl.constexpr, KIND: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Maximum, sum and mixed values over the sinks of rows of queries, each of which sees those before its
    `gone`.
    """
    sink = tl.arange(0, BLOCK_S)
    real = (sink[:, None] < SINKS) & (d[None, :] < dim)
    origin = (kv * SINKS + sink[:, None]) * dim + d[None, :]
    keys = tl.load(sink_k + origin, mask=real, other=0.0).to(ROUND).to(KIND)
    values = tl.load(sink_v + origin, mask=real, other=0.0).to(ROUND).to(KIND)
    marks = tl.dot(query, tl.trans(keys), input_precision=PRECISION)
    marks = tl.where((sink[None, :] < SINKS) & (sink[None, :] < gone[:, None]), marks, HIDDEN)
    top = tl.max(marks, axis=1)
    shares = tl.exp2(marks - tl.where(top == HIDDEN, 0.0, top)[:, None])
    mixed = tl.dot(shares.to(ROUND).to(KIND), values, mixed, input_precision=PRECISION)
    return top, tl.sum(shares, axis=1), mixed


@tuned(CHOICES, ["dim", "left"])
@triton.jit
def _prefill(
    q, plain, k, v, sink_k, sink_v, out, q_head, q_token, p_head, p_token, k_head, k_token, v_head, v_token,
    scale, length, total, dim, left, behind, group,
    SINKS: tl.constexpr, BLOCK_S: tl.constexpr, BLOCK_D: tl.constexpr, ROUND: tl.constexpr,
    KIND: tl.constexpr, PRECISION: tl.constexpr, WINDOWED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Outputs of one block of queries of one head."""
    start, head = tl.program_id(0) * BM, tl.program_id(1)
    kv = (head // group).to(tl.int64)
    row, d = (start + tl.arange(0, BM)).to(tl.int64), tl.arange(0, BLOCK_D)
    there = (row[:, None] < length) & (d[None, :] < dim)
    query = tl.load(
        q + head.to(tl.int64) * q_head + row[:, None] * q_token + d[None, :], mask=there, other=0.0
    )
    query = (query.to(tl.float32) * scale).to(ROUND).to(KIND)
    top, norm = tl.full([BM], HIDDEN, tl.float32), tl.full([BM], 0.0, tl.float32)
    mixed = tl.full([BM, BLOCK_D], 0.0, tl.float32)
    if SINKS > 0:
        unrotated = plain + head.to(tl.int64) * p_head + row[:, None] * p_token + d[None, :]
        unrotated = (tl.load(unrotated, mask=there, other=0.0).to(tl.float32) * scale).to(ROUND).to(KIND)
        top, norm, mixed = _sinks(
            unrotated, sink_k, sink_v, kv, behind + row, d, dim, mixed, SINKS, BLOCK_S, ROUND, KIND, PRECISION
        )
    offset = total - length
    low, high = 0, tl.minimum(start + BM, length) + offset
    if WINDOWED:
        low = tl.maximum(start + offset - left, 0)
    for first in range(low, high, BN):
        column = (first + tl.arange(0, BN)).to(tl.int64)
        held = (column[:, None] < total) & (d[None, :] < dim)
        keys = tl.load(k + kv * k_head + column[:, None] * k_token + d[None, :], mask=held, other=0.0)
        scores = tl.dot(query, tl.trans(keys.to(ROUND).to(KIND)), input_precision=PRECISION)
        place = row[:, None] + offset
        seen = (column[None, :] <= place) & (column[None, :] < total)
        if WINDOWED:
            seen = seen & (column[None, :] >= place - left)
        scores = tl.where(seen, scores, HIDDEN)
        higher = tl.maximum(top, tl.max(scores, axis=1))
        # A row that has seen nothing yet has no maximum: -inf less -inf must not become NaN.
        base = tl.where(higher == HIDDEN, 0.0, higher)
        weights, kept = tl.exp2(scores - base[:, None]), tl.exp2(top - base)
        norm = norm * kept + tl.sum(weights, axis=1)
        values = tl.load(v + kv * v_head + column[:, None] * v_token + d[None, :], mask=held, other=0.0)
        values = values.to(ROUND).to(KIND)
        mixed = tl.dot(weights.to(ROUND).to(KIND), values, mixed * kept[:, None], input_precision=PRECISION)
        top = higher
    place = (row[:, None] * tl.num_programs(1) + head) * dim + d[None, :]
    # Rows past the end have seen nothing.
    tl.store(out + place, mixed / tl.where(norm == 0.0, 1.0, norm)[:, None], mask=there)


@triton.jit
def _split(
    q, plain, k, v, sink_k, sink_v, part, tops, norms,
    q_head, q_token, p_head, p_token, k_head, k_token, v_head, v_token,
    scale, length, total, dim, left, behind, group, begin,
    SINKS: tl.constexpr, BLOCK_S: tl.constexpr, BLOCK_D: tl.constexpr, ROUND: tl.constexpr,
    KIND: tl.constexpr, PRECISION: tl.constexpr, WINDOWED: tl.constexpr, ROWS: tl.constexpr,
    SPLIT: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """One piece of the keys for all queries of a group of heads; the first piece takes the sinks."""
    piece, kv = tl.program_id(0), tl.program_id(1).to(tl.int64)
    row, d = tl.arange(0, ROWS).to(tl.int64), tl.arange(0, BLOCK_D)
    head, time = kv * group + row // length, row % length
    there = (row[:, None] < group * length) & (d[None, :] < dim)
    here = head[:, None] * q_head + time[:, None] * q_token + d[None, :]
    query = (tl.load(q + here, mask=there, other=0.0).to(tl.float32) * scale).to(ROUND).to(KIND)
    top, norm = tl.full([ROWS], HIDDEN, tl.float32), tl.full([ROWS], 0.0, tl.float32)
    mixed = tl.full([ROWS, BLOCK_D], 0.0, tl.float32)
    if SINKS > 0:
        origin = head[:, None] * p_head + time[:, None] * p_token + d[None, :]
        unrotated = (tl.load(plain + origin, mask=there, other=0.0).to(tl.float32) * scale).to(ROUND).to(KIND)
        gone = tl.where(piece == 0, behind + time, 0)  # the other pieces see none
        top, norm, mixed = _sinks(
            unrotated, sink_k, sink_v, kv, gone, d, dim, mixed, SINKS, BLOCK_S, ROUND, KIND, PRECISION
        )
    low = begin + piece * SPLIT
    for first in range(low, tl.minimum(low + SPLIT, total), BN):
        column = (first + tl.arange(0, BN)).to(tl.int64)
        held = (column[:, None] < total) & (d[None, :] < dim)
        keys = tl.load(k + kv * k_head + column[:, None] * k_token + d[None, :], mask=held, other=0.0)
        scores = tl.dot(query, tl.trans(keys.to(ROUND).to(KIND)), input_precision=PRECISION)
        place = time[:, None] + (total - length)
        seen = (column[None, :] <= place) & (column[None, :] < total)
        if WINDOWED:
            seen = seen & (column[None, :] >= place - left)
        scores = tl.where(seen, scores, HIDDEN)
        higher = tl.maximum(top, tl.max(scores, axis=1))
        base = tl.where(higher == HIDDEN, 0.0, higher)
        weights, kept = tl.exp2(scores - base[:, None]), tl.exp2(top - base)
        norm = norm * kept + tl.sum(weights, axis=1)
        values = tl.load(v + kv * v_head + column[:, None] * v_token + d[None, :], mask=held, other=0.0)
        values = values.to(ROUND).to(KIND)
        mixed = tl.dot(weights.to(ROUND).to(KIND), values, mixed * kept[:, None], input_precision=PRECISION)
        top = higher
    place = (piece * tl.num_programs(1) + kv) * (group * length) + row
    tl.store(part + place[:, None] * dim + d[None, :], mixed, mask=there)
    tl.store(tops + place, top, mask=row < group * length)
    tl.store(norms + place, norm, mask=row < group * length)


@triton.jit
def _join(part, tops, norms, out, splits, length, dim, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr):
    """The weighted sum of the pieces of one query of one head."""
    time, head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    piece, d = tl.arange(0, BLOCK).to(tl.int64), tl.arange(0, BLOCK_D)
    place = (piece * tl.num_programs(1) + head) * length + time
    there = piece < splits
    top = tl.load(tops + place, mask=there, other=HIDDEN)
    weight = tl.exp2(top - tl.max(top, axis=0))
    norm = tl.sum(weight * tl.load(norms + place, mask=there, other=0.0), axis=0)
    held = there[:, None] & (d[None, :] < dim)
    mixed = tl.load(part + place[:, None] * dim + d[None, :], mask=held, other=0.0)
    place = (time.to(tl.int64) * tl.num_programs(1) + head) * dim + d
    tl.store(out + place, tl.sum(mixed * weight[:, None], axis=0) / norm, mask=d < dim)
