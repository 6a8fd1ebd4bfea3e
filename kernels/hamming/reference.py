"""Hamming distance bit by bit."""

import numpy as np
from numpy.typing import NDArray


def hamming_distances_reference(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Number of differing bits of each row of `codes` [N, B] from `query` [B]: int32 [N]."""
    different = np.unpackbits(codes, axis=1) != np.unpackbits(query)[None, :]
    return different.sum(axis=1, dtype=np.int32)
