"""XOR and popcount over 64-bit words."""

import numpy as np
from numpy.typing import NDArray


def pack_signs(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """One bit a value, set where it is positive: [N, M] -> uint8 [N, M / 8], most significant bit first."""
    return np.packbits(values > 0, axis=-1)


def hamming_distances(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Number of differing bits of each row of `codes` [N, B] from `query` [B], B a multiple of 8: int32
    [N].
    """
    if codes.ndim != 2 or query.shape != codes.shape[1:] or codes.shape[1] % 8:
        raise ValueError(
            f"codes [N, B] and query [B] must agree with B a multiple of 8: {codes.shape}, {query.shape}"
        )
    words = np.ascontiguousarray(codes).view(np.uint64)
    different = np.bitwise_xor(words, np.ascontiguousarray(query).view(np.uint64)[None, :])
    return np.bitwise_count(different).sum(axis=1, dtype=np.int32)
