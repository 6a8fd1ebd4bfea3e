"""Finding passages: exhaustive search of binary codes and fusion of rankings."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.hamming import hamming_distances

Id = TypeVar("Id", bound=Hashable)


def search_codes(
    codes: NDArray[np.uint8], query: bytes, top: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The `top` rows of `codes` [N, B] nearest to `query` (B bytes): (indices, Hamming distances), nearest
    first.

    Every row competes; ties go to the earlier row.
    """
    if not len(codes) or top <= 0:
        return np.empty(0, np.int64), np.empty(0, np.int32)
    distances = hamming_distances(codes, np.frombuffer(query, np.uint8))
    count = min(top, len(distances))
    # Distances are few different numbers: counting them finds the last one that is needed without sorting.
    enough = int(np.searchsorted(np.cumsum(np.bincount(distances)), count))
    near = np.flatnonzero(distances <= enough)
    order = near[np.argsort(distances[near], kind="stable")][:count]
    return order, distances[order]


def fuse(
    rankings: Sequence[Sequence[Id]], k: float = 60.0, weights: Sequence[float] | None = None
) -> list[tuple[Id, float]]:
    """Reciprocal rank fusion (Cormack et al. 2009): score = sum of weight / (k + rank), best first, ties as
    first seen.
    """
    scores: dict[Id, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])
