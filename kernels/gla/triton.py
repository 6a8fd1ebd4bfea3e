"""Gated linear attention in Triton: chunks of 64 tokens, states in float32, safe under any decay.

Three kernels: cumulated log decays inside each chunk, the states at chunk starts (one after the other), and
all outputs at once. Where a chunk forgets less than e^-60 its pairs are one product of `q exp(total)` and
`k exp(-total)`; otherwise blocks of 16 meet at the later block's start and pairs inside a block are weighted
one by one, so every exponent is <= 0 (Yang et al. 2024, section 4.3).
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.tuning import Choice, block_of, product_types, tuned

CHUNK = 64
BLOCK = tl.constexpr(16)
SAFE = tl.constexpr(-60.0)

STATE_CHOICES = {
    "hopper": [({"BK": 32, "BV": 32}, 2, 3), ({"BK": 64, "BV": 32}, 4, 3), ({"BK": 64, "BV": 64}, 4, 4)],
    "ampere": [({"BK": 32, "BV": 32}, 2, 2), ({"BK": 64, "BV": 32}, 4, 2), ({"BK": 64, "BV": 64}, 4, 3)],
    "amd": [({"BK": 32, "BV": 32}, 4, 1), ({"BK": 64, "BV": 32}, 4, 2)],
    "other": [({"BK": 32, "BV": 32}, 4, 2)],
    "interpreter": [({"BK": 16, "BV": 64}, 1, 1)],
}
OUT_CHOICES: dict[str, list[Choice]] = {
    "hopper": [({}, 4, 2), ({}, 8, 2), ({}, 4, 1), ({}, 8, 1)],
    "ampere": [({}, 4, 1), ({}, 8, 1), ({}, 8, 2)],
    "amd": [({}, 4, 1), ({}, 8, 1)],
    "other": [({}, 4, 1)],
    "interpreter": [({}, 1, 1)],
}


def gla_chunked_triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    state: Tensor | None = None,
    scale: float | None = None,
    bf16: bool = False,
) -> tuple[Tensor, Tensor]:
    """As `gla_chunked`: q [Hk, G, T, K], k, log_decay [Hk, T, K], v [Hk, T, V], state [Hk, K, V] -> float32
    o [Hk, G, T, V] and the final state.

    Inputs float32 or bfloat16, last axis contiguous; `bf16` rounds the operands of products (sums and states
    stay float32).
    """
    heads, group, length, key_dim = q.shape
    value_dim = v.shape[-1]
    scale = key_dim**-0.5 if scale is None else scale
    q, k, v, log_decay = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v, log_decay))
    new: dict[str, Any] = {"dtype": torch.float32, "device": q.device}
    start = torch.zeros(heads, key_dim, value_dim, **new) if state is None else state.float().contiguous()
    final, out = torch.empty_like(start), torch.empty(heads, group, length, value_dim, **new)
    if length == 0:
        return out, start
    sizes = {"BLOCK_K": block_of(key_dim), "BLOCK_V": block_of(value_dim)}
    if length == 1:
        _step[(heads,)](
            q, k, v, log_decay, start, out, final, scale, key_dim, value_dim,
            q.stride(0), q.stride(1), k.stride(0), v.stride(0), log_decay.stride(0), GROUP=group, **sizes,
        )  # fmt: skip
        return out, final
    chunks, kinds = triton.cdiv(length, CHUNK), product_types(bf16)
    total = torch.empty(heads, length, key_dim, **new)
    _cumulate[(chunks, heads)](
        log_decay, total, length, key_dim, *log_decay.stride()[:2], CHUNK=CHUNK, BLOCK_K=sizes["BLOCK_K"]
    )
    kept = torch.empty(
        heads, chunks, key_dim, value_dim, dtype=torch.bfloat16 if bf16 else torch.float32, device=q.device
    )

    def grid(meta: dict[str, int]) -> tuple[int, ...]:
        return heads, triton.cdiv(key_dim, meta["BK"]), triton.cdiv(value_dim, meta["BV"])

    _states[grid](
        k, v, total, start, kept, final, length, key_dim, value_dim,
        *k.stride()[:2], *v.stride()[:2], CHUNK=CHUNK, **kinds,
    )  # fmt: skip
    _outputs[(chunks, heads * group)](
        q, k, v, total, kept, out, scale, length, key_dim, value_dim, group,
        *q.stride()[:3], *k.stride()[:2], *v.stride()[:2], CHUNK=CHUNK, **kinds, **sizes,
    )  # fmt: skip
    return out, final


@triton.jit
def _cumulate(g, total, length, key_dim, g_head, g_token, CHUNK: tl.constexpr, BLOCK_K: tl.constexpr):
    """Cumulated log decay since the start of each chunk: [Hk, T, K]."""
    head = tl.program_id(1).to(tl.int64)
    token = tl.program_id(0).to(tl.int64) * CHUNK + tl.arange(0, CHUNK)
    key = tl.arange(0, BLOCK_K)
    inside = (token[:, None] < length) & (key[None, :] < key_dim)
    decay = tl.load(g + head * g_head + token[:, None] * g_token + key[None, :], mask=inside, other=0.0)
    place = (head * length + token[:, None]) * key_dim + key[None, :]
    tl.store(total + place, tl.cumsum(decay.to(tl.float32), axis=0), mask=inside)


@tuned(STATE_CHOICES, ["key_dim", "value_dim"])
@triton.jit
def _states(
    k, v, total, start, kept, final, length, key_dim, value_dim, k_head, k_token, v_head, v_token,
    CHUNK: tl.constexpr, ROUND: tl.constexpr, KIND: tl.constexpr, PRECISION: tl.constexpr,
    BK: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    """The state before each chunk and after the last, one [BK, BV] piece a program."""
    head = tl.program_id(0).to(tl.int64)
    key = (tl.program_id(1) * BK + tl.arange(0, BK)).to(tl.int64)
    value = tl.program_id(2) * BV + tl.arange(0, BV)
    held = (key[:, None] < key_dim) & (value[None, :] < value_dim)
    piece = key[:, None] * value_dim + value[None, :]
    state = tl.load(start + head * key_dim * value_dim + piece, mask=held, other=0.0)
    chunks = tl.cdiv(length, CHUNK)
    for chunk in range(chunks):
        place = (head * chunks + chunk) * key_dim * value_dim
        tl.store(kept + place + piece, state.to(kept.dtype.element_ty), mask=held)
        token = (chunk * CHUNK + tl.arange(0, CHUNK)).to(tl.int64)
        last = tl.minimum((chunk + 1) * CHUNK, length) - 1
        end = tl.load(total + (head * length + last) * key_dim + key, mask=key < key_dim, other=0.0)
        both = (key[:, None] < key_dim) & (token[None, :] < length)
        sums = tl.load(
            total + (head * length + token[None, :]) * key_dim + key[:, None], mask=both, other=0.0
        )
        keys = tl.load(k + head * k_head + token[None, :] * k_token + key[:, None], mask=both, other=0.0)
        values = tl.load(
            v + head * v_head + token[:, None] * v_token + value[None, :],
            mask=(token[:, None] < length) & (value[None, :] < value_dim),
            other=0.0,
        )
        written = tl.where(both, keys.to(tl.float32) * tl.exp(end[:, None] - sums), 0.0)
        values = values.to(ROUND).to(KIND)
        state = state * tl.exp(end)[:, None]
        state = tl.dot(written.to(ROUND).to(KIND), values, state, input_precision=PRECISION)
    tl.store(final + head * key_dim * value_dim + piece, state, mask=held)


@tuned(OUT_CHOICES, ["key_dim", "value_dim", "group"])
@triton.jit
def _outputs(
    q, k, v, total, kept, out, scale, length, key_dim, value_dim, group,
    q_head, q_group, q_token, k_head, k_token, v_head, v_token,
    CHUNK: tl.constexpr, ROUND: tl.constexpr, KIND: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """Outputs of one chunk of one query head."""
    chunk, pair = tl.program_id(0), tl.program_id(1)
    head, member = (pair // group).to(tl.int64), (pair % group).to(tl.int64)
    key, value = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_V)
    here_q = q + head * q_head + member * q_group + key[None, :]
    here_k = k + head * k_head + key[None, :]
    here_v = v + head * v_head + value[None, :]
    here_total = total + head * length * key_dim + key[None, :]
    here_out = out + pair.to(tl.int64) * length * value_dim + value[None, :]
    held_k, held_v = key[None, :] < key_dim, value[None, :] < value_dim
    before = kept + (head * tl.cdiv(length, CHUNK) + chunk) * key_dim * value_dim
    before = before + key.to(tl.int64)[:, None] * value_dim + value[None, :]
    state = tl.load(before, mask=(key[:, None] < key_dim) & held_v, other=0.0).to(ROUND).to(KIND)
    last = (tl.minimum((chunk + 1) * CHUNK, length) - 1).to(tl.int64)
    end = tl.load(here_total + last * key_dim, mask=held_k, other=0.0)
    if tl.min(end) > SAFE:
        times = (chunk * CHUNK + tl.arange(0, CHUNK)).to(tl.int64)[:, None]
        known = times < length
        decays = tl.load(here_total + times * key_dim, mask=known & held_k, other=0.0)
        asked = tl.load(here_q + times * q_token, mask=known & held_k, other=0.0).to(tl.float32)
        matched = tl.load(here_k + times * k_token, mask=known & held_k, other=0.0).to(tl.float32)
        written = tl.load(here_v + times * v_token, mask=known & held_v, other=0.0).to(ROUND).to(KIND)
        asked = (asked * scale * tl.exp(decays)).to(ROUND).to(KIND)
        matched = tl.trans((matched * tl.exp(-decays)).to(ROUND).to(KIND))
        pairs = tl.dot(asked, matched, input_precision=PRECISION)
        place = tl.arange(0, CHUNK)
        pairs = tl.where(place[:, None] >= place[None, :], pairs, 0.0).to(ROUND).to(KIND)
        whole = tl.dot(asked, state, input_precision=PRECISION)
        whole = tl.dot(pairs, written, whole, input_precision=PRECISION)
        tl.store(here_out + times * value_dim, whole, mask=known & held_v)
    else:
        rows = tl.cdiv(tl.minimum(length - chunk * CHUNK, CHUNK), BLOCK)
        for row in range(rows):
            first = (chunk * CHUNK + row * BLOCK).to(tl.int64)
            token = first + tl.arange(0, BLOCK)[:, None]
            there = token < length
            sums = tl.load(here_total + token * key_dim, mask=there & held_k, other=0.0)
            queries = tl.load(here_q + token * q_token, mask=there & held_k, other=0.0).to(tl.float32) * scale
            mixed = tl.dot((queries * tl.exp(sums)).to(ROUND).to(KIND), state, input_precision=PRECISION)
            meet = tl.full([1, BLOCK_K], 0.0, tl.float32)
            if row > 0:
                meet = tl.load(
                    here_total + tl.minimum(first, length) * key_dim - key_dim, mask=held_k, other=0.0
                )
            ahead = (queries * tl.exp(tl.minimum(sums - meet, 0.0))).to(ROUND).to(KIND)
            for other in range(row):
                earlier = first + (other - row) * BLOCK + tl.arange(0, BLOCK)[:, None]
                seen = earlier < length
                keys = tl.load(here_k + earlier * k_token, mask=seen & held_k, other=0.0).to(tl.float32)
                past = tl.load(here_total + earlier * key_dim, mask=seen & held_k, other=0.0)
                values = tl.load(here_v + earlier * v_token, mask=seen & held_v, other=0.0).to(ROUND).to(KIND)
                keys = (keys * tl.exp(tl.minimum(meet - past, 0.0))).to(ROUND).to(KIND)
                weights = tl.dot(ahead, tl.trans(keys), input_precision=PRECISION).to(ROUND).to(KIND)
                mixed = tl.dot(weights, values, mixed, input_precision=PRECISION)
            for column in range(BLOCK):
                one = tl.minimum(first + column, length - 1)
                key_one = tl.load(here_k + one * k_token, mask=held_k, other=0.0)
                sum_one = tl.load(here_total + one * key_dim, mask=held_k, other=0.0)
                value_one = tl.load(here_v + one * v_token, mask=held_v, other=0.0)
                apart = tl.exp(tl.minimum(sums - sum_one, 0.0))
                weight = tl.sum(queries * key_one.to(tl.float32) * apart, axis=1)[:, None]
                mixed += tl.where(token >= first + column, weight, 0.0) * value_one.to(tl.float32)
            tl.store(here_out + token * value_dim, mixed, mask=there & held_v)


@triton.jit
def _step(
    q, k, v, g, start, out, final, scale, key_dim, value_dim, q_head, q_group, k_head, v_head, g_head,
    GROUP: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """One token: the state is read and written once for all query heads that share it."""
    head = tl.program_id(0).to(tl.int64)
    key, value = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_V)
    held_k, held_v = key < key_dim, value < value_dim
    decay = tl.exp(tl.load(g + head * g_head + key, mask=held_k, other=0.0).to(tl.float32))
    keys = tl.load(k + head * k_head + key, mask=held_k, other=0.0).to(tl.float32)
    values = tl.load(v + head * v_head + value, mask=held_v, other=0.0).to(tl.float32)
    piece = head * key_dim * value_dim + key[:, None] * value_dim + value[None, :]
    held = held_k[:, None] & held_v[None, :]
    state = tl.load(start + piece, mask=held, other=0.0) * decay[:, None] + keys[:, None] * values[None, :]
    tl.store(final + piece, state, mask=held)
    for member in range(GROUP):
        query = tl.load(q + head * q_head + member * q_group + key, mask=held_k, other=0.0)
        mixed = tl.sum((query.to(tl.float32) * scale)[:, None] * state, axis=0)
        tl.store(out + (head * GROUP + member) * value_dim + value, mixed, mask=held_v)
