"""Search of binary codes in Triton: XOR, then the set bits of 32-bit words counted in parallel."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.tuning import INTERPRETED, block_of


def hamming_distances_triton(codes: Tensor, query: Tensor) -> Tensor:
    """Number of differing bits of each row of `codes` uint8 [N, B] from `query` uint8 [B], B a multiple of 4:
    int32 [N].
    """
    if codes.ndim != 2 or query.shape != codes.shape[1:] or codes.shape[1] % 4:
        raise ValueError(
            f"codes [N, B] and query [B] must agree with B a multiple of 4: {codes.shape}, {query.shape}"
        )
    words, wanted = codes.contiguous().view(torch.int32), query.contiguous().view(torch.int32)
    out = torch.empty(len(codes), dtype=torch.int32, device=codes.device)
    if len(codes):
        rows = 1024 if INTERPRETED else 128
        grid = (triton.cdiv(len(codes), rows),)
        _distances[grid](
            words, wanted, out, len(codes), words.shape[1], ROWS=rows, WORDS=block_of(words.shape[1], 1)
        )
    return out


@triton.jit
def _distances(codes, query, out, rows, words, ROWS: tl.constexpr, WORDS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    word = tl.arange(0, WORDS)
    held = (row[:, None] < rows) & (word[None, :] < words)
    wanted = tl.load(query + word, mask=word < words, other=0)
    different = tl.load(codes + row[:, None] * words + word[None, :], mask=held, other=0) ^ wanted[None, :]
    # The shift of a signed word brings its sign along; the masks take it away again.
    bits = different - ((different >> 1) & 0x55555555)
    bits = (bits & 0x33333333) + ((bits >> 2) & 0x33333333)
    bits = (bits & 0x0F0F0F0F) + ((bits >> 4) & 0x0F0F0F0F)
    bits = (bits + (bits >> 8) + (bits >> 16) + (bits >> 24)) & 0xFF
    tl.store(out + row, tl.sum(tl.where(held, bits, 0), axis=1), mask=row < rows)
