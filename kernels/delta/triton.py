"""The gated delta rule in Triton: chunks of 64 tokens, states in float32, safe under any decay.

Three kernels: what each chunk writes, as `base - keys S` with `S` the state at its start (arXiv 2412.06464,
section 3.3); the states at chunk starts, one after the other; and all outputs at once. Log decays are
cumulated in float64, so that a mild decay after a strong one keeps its digits; every exponent is <= 0.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.delta.reference import UNIT_EPS
from kernels.tuning import block_of, product_types, tuned

CHUNK = 64
EPS = tl.constexpr(UNIT_EPS)
STRONGEST = tl.constexpr(-1e4)

WRITE_CHOICES = {
    "hopper": [({"BLOCK": 64}, 4, 2), ({"BLOCK": 64}, 8, 1), ({"BLOCK": 32}, 4, 2)],
    "ampere": [({"BLOCK": 32}, 4, 2), ({"BLOCK": 64}, 4, 1), ({"BLOCK": 64}, 8, 1)],
    "amd": [({"BLOCK": 32}, 4, 1), ({"BLOCK": 64}, 4, 1)],
    "other": [({"BLOCK": 32}, 4, 1)],
    "interpreter": [({"BLOCK": 64}, 1, 1)],
}
STATE_CHOICES = {
    "hopper": [({"BV": 16}, 4, 2), ({"BV": 32}, 4, 2), ({"BV": 64}, 4, 2), ({"BV": 64}, 8, 2)],
    "ampere": [({"BV": 16}, 4, 2), ({"BV": 32}, 4, 2), ({"BV": 64}, 8, 1)],
    "amd": [({"BV": 16}, 4, 1), ({"BV": 32}, 4, 1)],
    "other": [({"BV": 16}, 4, 1)],
    "interpreter": [({"BV": 64}, 1, 1)],
}
OUT_CHOICES = {
    "hopper": [({"BV": 64}, 4, 2), ({"BV": 128}, 8, 2), ({"BV": 32}, 4, 2)],
    "ampere": [({"BV": 64}, 4, 2), ({"BV": 128}, 8, 1), ({"BV": 32}, 4, 1)],
    "amd": [({"BV": 64}, 4, 1)],
    "other": [({"BV": 32}, 4, 1)],
    "interpreter": [({"BV": 64}, 1, 1)],
}


def delta_chunked_triton(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, state: Tensor | None = None,
    bf16: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """As `delta_chunked`: q, k [H, T, K], v [H, T, V], log_decay, beta [H, T], state [H, K, V] -> float32 o
    [H, T, V] and the final state.

    Inputs float32 or bfloat16, any strides; `bf16` rounds the operands of products (overlaps of keys, sums
    and states stay float32).
    """
    heads, length, key_dim = q.shape
    value_dim = v.shape[-1]
    q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
    new: dict[str, Any] = {"dtype": torch.float32, "device": q.device}
    start = torch.zeros(heads, key_dim, value_dim, **new) if state is None else state.float().contiguous()
    final, out = torch.empty_like(start), torch.empty(heads, length, value_dim, **new)
    if length == 0:
        return out, start
    sizes = {"BLOCK_K": block_of(key_dim)}
    rows = (*k.stride()[:2], *v.stride()[:2])
    gates = (*log_decay.stride(), *beta.stride())
    if length == 1:
        _step[(heads,)](
            q, k, v, log_decay, beta, start, out, final, key_dim, value_dim, q.stride(0), k.stride(0),
            v.stride(0), log_decay.stride(0), beta.stride(0), BLOCK_V=block_of(value_dim), **sizes,
        )  # fmt: skip
        return out, final
    chunks, kinds = triton.cdiv(length, CHUNK), product_types(bf16) | {"CHUNK": CHUNK}
    written, keys = torch.empty_like(out), torch.empty(heads, length, key_dim, **new)
    kept = torch.empty(
        heads, chunks, key_dim, value_dim, dtype=torch.bfloat16 if bf16 else torch.float32, device=q.device
    )
    _writes[(chunks, heads)](
        k, v, log_decay, beta, written, keys, length, key_dim, value_dim, *rows, *gates, **kinds,
    )  # fmt: skip

    def pieces(meta: dict[str, int]) -> tuple[int, ...]:
        return heads, triton.cdiv(value_dim, meta["BV"])

    _states[pieces](
        k, log_decay, keys, written, start, kept, final, length, key_dim, value_dim, *rows[:2], *gates[:2],
        **kinds, **sizes,
    )  # fmt: skip

    def grid(meta: dict[str, int]) -> tuple[int, ...]:
        return chunks, heads, triton.cdiv(value_dim, meta["BV"])

    _outputs[grid](
        q, k, log_decay, written, kept, out, key_dim**-0.5, length, key_dim, value_dim, *q.stride()[:2],
        *rows[:2], *gates[:2], **kinds, **sizes,
    )  # fmt: skip
    return out, final


@tuned(WRITE_CHOICES, ["key_dim", "value_dim"])
@triton.jit
def _writes(
    k, v, g, beta, base, keys, length, key_dim, value_dim, k_head, k_token, v_head, v_token,
    g_head, g_token, b_head, b_token, CHUNK: tl.constexpr, ROUND: tl.constexpr, KIND: tl.constexpr,
    PRECISION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """What one chunk writes: `base` [H, T, V] and `keys` [H, T, K], solved row after row."""
    head, place = tl.program_id(1).to(tl.int64), tl.arange(0, CHUNK)
    token = tl.program_id(0).to(tl.int64) * CHUNK + place
    there = token < length
    part = tl.arange(0, BLOCK)[None, :]
    decay = tl.load(g + head * g_head + token * g_token, mask=there, other=0.0).to(tl.float64)
    total = tl.cumsum(tl.maximum(decay, STRONGEST), axis=0)
    strength = tl.load(beta + head * b_head + token * b_token, mask=there, other=0.0).to(tl.float32)
    overlap, squares = tl.full([CHUNK, CHUNK], 0.0, tl.float32), tl.full([CHUNK], EPS, tl.float32)
    for first in range(0, key_dim, BLOCK):
        held = there[:, None] & (first + part < key_dim)
        known = tl.load(k + head * k_head + token[:, None] * k_token + first + part, mask=held, other=0.0)
        known = known.to(tl.float32)
        squares += tl.sum(known * known, axis=1)
        overlap = tl.dot(known, tl.trans(known), overlap, input_precision=PRECISION)
    norm = tl.sqrt(squares)
    # Column i holds what token i finds of the tokens j before it (rows).
    apart = tl.exp(tl.minimum(total[None, :] - total[:, None], 0.0).to(tl.float32))
    found = overlap * apart * (strength / norm)[None, :] / norm[:, None]
    found = tl.where(place[:, None] < place[None, :], found, 0.0)
    solved = tl.where(place[:, None] == place[None, :], 1.0, 0.0)
    for i in range(1, CHUNK):
        earlier = tl.sum(tl.where(place[None, :] == i, found, 0.0), axis=1)
        row = tl.sum(earlier[:, None] * solved, axis=0)
        solved = tl.where(place[:, None] == i, solved - row[None, :], solved)
    solved = solved.to(ROUND).to(KIND)
    worth = strength * tl.exp(total.to(tl.float32)) / norm
    for first in range(0, key_dim, BLOCK):
        held = there[:, None] & (first + part < key_dim)
        known = tl.load(k + head * k_head + token[:, None] * k_token + first + part, mask=held, other=0.0)
        known = (known.to(tl.float32) * worth[:, None]).to(ROUND).to(KIND)
        own = keys + (head * length + token[:, None]) * key_dim + first + part
        tl.store(own, tl.dot(solved, known, input_precision=PRECISION), mask=held)
    for first in range(0, value_dim, BLOCK):
        held = there[:, None] & (first + part < value_dim)
        new = tl.load(v + head * v_head + token[:, None] * v_token + first + part, mask=held, other=0.0)
        new = (new.to(tl.float32) * strength[:, None]).to(ROUND).to(KIND)
        own = base + (head * length + token[:, None]) * value_dim + first + part
        tl.store(own, tl.dot(solved, new, input_precision=PRECISION), mask=held)


@tuned(STATE_CHOICES, ["key_dim", "value_dim"], restore=["written"])
@triton.jit
def _states(
    k, g, keys, written, start, kept, final, length, key_dim, value_dim, k_head, k_token, g_head, g_token,
    CHUNK: tl.constexpr, ROUND: tl.constexpr, KIND: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_K: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    """The state before each chunk and after the last; `written` [H, T, V] turns from `base` into writes."""
    head, place = tl.program_id(0).to(tl.int64), tl.arange(0, CHUNK)
    key, value = tl.arange(0, BLOCK_K), tl.program_id(1) * BV + tl.arange(0, BV)
    held = (key[:, None] < key_dim) & (value[None, :] < value_dim)
    piece = key.to(tl.int64)[:, None] * value_dim + value[None, :]
    state = tl.load(start + head * key_dim * value_dim + piece, mask=held, other=0.0)
    chunks = tl.cdiv(length, CHUNK)
    for chunk in range(chunks):
        tl.store(
            kept + (head * chunks + chunk) * key_dim * value_dim + piece,
            state.to(kept.dtype.element_ty),
            mask=held,
        )
        token = (chunk * CHUNK + place).to(tl.int64)
        there = token < length
        decay = tl.load(g + head * g_head + token * g_token, mask=there, other=0.0).to(tl.float64)
        decay = tl.maximum(decay, STRONGEST)
        end = tl.sum(decay, axis=0)
        until = tl.exp((end - tl.cumsum(decay, axis=0)).to(tl.float32))
        held_k = there[:, None] & (key[None, :] < key_dim)
        forgetting = tl.load(
            keys + (head * length + token[:, None]) * key_dim + key[None, :], mask=held_k, other=0.0
        )
        held_v = there[:, None] & (value[None, :] < value_dim)
        own = written + (head * length + token[:, None]) * value_dim + value[None, :]
        new = tl.load(own, mask=held_v, other=0.0)
        new -= tl.dot(forgetting.to(ROUND).to(KIND), state.to(ROUND).to(KIND), input_precision=PRECISION)
        tl.store(own, new, mask=held_v)
        known = tl.load(k + head * k_head + token[:, None] * k_token + key[None, :], mask=held_k, other=0.0)
        known = known.to(tl.float32)
        norm = tl.sqrt(tl.sum(known * known, axis=1) + EPS)
        known = tl.trans((known * (until / norm)[:, None]).to(ROUND).to(KIND))
        state = state * tl.exp(end.to(tl.float32))
        state = tl.dot(known, new.to(ROUND).to(KIND), state, input_precision=PRECISION)
    tl.store(final + head * key_dim * value_dim + piece, state, mask=held)


@tuned(OUT_CHOICES, ["key_dim", "value_dim"])
@triton.jit
def _outputs(
    q, k, g, written, kept, out, scale, length, key_dim, value_dim, q_head, q_token, k_head, k_token,
    g_head, g_token,
    CHUNK: tl.constexpr, ROUND: tl.constexpr, KIND: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_K: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    """Outputs of one chunk of one head."""
    chunk, head, place = tl.program_id(0), tl.program_id(1).to(tl.int64), tl.arange(0, CHUNK)
    token = chunk.to(tl.int64) * CHUNK + place
    key, value = tl.arange(0, BLOCK_K), tl.program_id(2) * BV + tl.arange(0, BV)
    there = token < length
    decay = tl.load(g + head * g_head + token * g_token, mask=there, other=0.0).to(tl.float64)
    total = tl.cumsum(tl.maximum(decay, STRONGEST), axis=0)
    held_k = there[:, None] & (key[None, :] < key_dim)
    held_v = there[:, None] & (value[None, :] < value_dim)
    asked = tl.load(q + head * q_head + token[:, None] * q_token + key[None, :], mask=held_k, other=0.0)
    asked = asked.to(tl.float32)
    asked = asked * (scale / tl.sqrt(tl.sum(asked * asked, axis=1) + EPS))[:, None]
    known = tl.load(k + head * k_head + token[:, None] * k_token + key[None, :], mask=held_k, other=0.0)
    known = known.to(tl.float32)
    known = known / tl.sqrt(tl.sum(known * known, axis=1) + EPS)[:, None]
    pairs = tl.dot(asked.to(ROUND).to(KIND), tl.trans(known.to(ROUND).to(KIND)), input_precision=PRECISION)
    apart = tl.exp(tl.minimum(total[:, None] - total[None, :], 0.0).to(tl.float32))
    pairs = tl.where(place[:, None] >= place[None, :], pairs * apart, 0.0).to(ROUND).to(KIND)
    before = (head * tl.cdiv(length, CHUNK) + chunk) * key_dim * value_dim
    before += key.to(tl.int64)[:, None] * value_dim + value[None, :]
    held = (key[:, None] < key_dim) & (value[None, :] < value_dim)
    state = tl.load(kept + before, mask=held, other=0.0).to(ROUND).to(KIND)
    ahead = (asked * tl.exp(total.to(tl.float32))[:, None]).to(ROUND).to(KIND)
    mixed = tl.dot(ahead, state, input_precision=PRECISION)
    own = (head * length + token[:, None]) * value_dim + value[None, :]
    new = tl.load(written + own, mask=held_v, other=0.0).to(ROUND).to(KIND)
    tl.store(out + own, tl.dot(pairs, new, mixed, input_precision=PRECISION), mask=held_v)


@triton.jit
def _step(
    q, k, v, g, beta, start, out, final, key_dim, value_dim, q_head, k_head, v_head, g_head, b_head,
    BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """One token: the state is read and written once."""
    head = tl.program_id(0).to(tl.int64)
    key, value = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_V)
    held_k, held_v = key < key_dim, value < value_dim
    asked = tl.load(q + head * q_head + key, mask=held_k, other=0.0).to(tl.float32)
    known = tl.load(k + head * k_head + key, mask=held_k, other=0.0).to(tl.float32)
    new = tl.load(v + head * v_head + value, mask=held_v, other=0.0).to(tl.float32)
    asked = asked / tl.sqrt((tl.sum(asked * asked, axis=0) + EPS) * key_dim)
    known = known / tl.sqrt(tl.sum(known * known, axis=0) + EPS)
    piece = head * key_dim * value_dim + key.to(tl.int64)[:, None] * value_dim + value[None, :]
    held = held_k[:, None] & held_v[None, :]
    decay = tl.exp(tl.load(g + head * g_head).to(tl.float32))
    state = tl.load(start + piece, mask=held, other=0.0) * decay
    strength = tl.load(beta + head * b_head).to(tl.float32)
    new = strength * (new - tl.sum(known[:, None] * state, axis=0))
    state += known[:, None] * new[None, :]
    tl.store(final + piece, state, mask=held)
    tl.store(out + head * value_dim + value, tl.sum(asked[:, None] * state, axis=0), mask=held_v)
