"""Documents that are nearly the same: bottom-k sketches of word shingles (Broder 1997), and their overlap."""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

SHINGLE = 5
SKETCH = 256
COMMON = 100
"""A shingle of more documents than this is a form's, not a copy's."""
NEAR = 0.5
_WORD = re.compile(r"\w+")
_CHARACTERS_A_WORD = 20  # more on average: a script without spaces, taken letter by letter
_ODD = np.uint64(0x9E3779B97F4A7C15)

Sketch = NDArray[np.uint64]


def sketch(text: str) -> Sketch:
    """The 256 smallest hashes of all runs of five words, ascending; fewer for a short text."""
    words = _WORD.findall(text.casefold())
    if sum(map(len, words)) > _CHARACTERS_A_WORD * len(words):
        words = list("".join(words))
    if not words:
        return np.empty(0, np.uint64)
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))
    count = max(1, len(hashes) - SHINGLE + 1)
    total = np.zeros(count, np.uint64)
    for place in range(min(SHINGLE, len(hashes))):
        total = (total ^ hashes[place : place + count]) * _ODD
        total ^= total >> np.uint64(29)
    return np.unique(total)[:SKETCH]


def similarity(one: Sketch, other: Sketch) -> float:
    """Estimated share of shingles that two texts have in common, 0 to 1."""
    both = np.union1d(one, other)[:SKETCH]
    if not len(both):
        return 0.0
    return float(np.mean(np.isin(both, one) & np.isin(both, other)))


def near_pairs(sketches: Mapping[int, Sketch], near: float = NEAR) -> list[tuple[int, int, float]]:
    """Pairs of keys that share at least `near` of their shingles, the most alike first."""
    holders: dict[int, list[int]] = defaultdict(list)
    for key, hashes in sketches.items():
        for value in hashes.tolist():
            holders[value].append(key)
    shared: Counter[tuple[int, int]] = Counter()
    for keys in holders.values():
        if 1 < len(keys) <= COMMON:
            shared.update((a, b) for i, a in enumerate(keys) for b in keys[i + 1 :])
    pairs = []
    for (one, other), count in shared.items():
        if count * 4 >= min(len(sketches[one]), len(sketches[other])):
            alike = similarity(sketches[one], sketches[other])
            if alike >= near:
                pairs.append((one, other, alike))
    return sorted(pairs, key=lambda pair: -pair[2])
