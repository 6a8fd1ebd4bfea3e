"""XOR and popcount over 64-bit words: compiled where the library is loaded, in NumPy otherwise."""

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
    from kernels.native.library import loaded  # brings torch along, which packing codes does not need

    codes, query = np.ascontiguousarray(codes), np.ascontiguousarray(query)
    library = loaded()
    if library is not None and codes.dtype == query.dtype == np.uint8:
        out = np.empty(len(codes), np.int32)
        library.functions.engram_hamming(
            codes.ctypes.data, query.ctypes.data, len(codes), codes.shape[1] // 8, out.ctypes.data
        )
        return out
    different = np.bitwise_xor(codes.view(np.uint64), query.view(np.uint64)[None, :])
    return np.bitwise_count(different).sum(axis=1, dtype=np.int32)
