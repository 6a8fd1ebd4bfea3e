"""Search of recall codes and fusion of rankings."""

import numpy as np
import pytest

from engine.recall import fuse, search_codes


def _codes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 64), dtype=np.uint8)


def test_every_code_competes_and_the_nearest_come_first():
    codes = _codes(5000)
    query = codes[4321].copy()
    query[0] ^= 0b101
    rows, distances = search_codes(codes, query.tobytes(), 10)
    assert rows[0] == 4321
    assert distances[0] == 2
    assert list(distances) == sorted(distances)
    assert len(rows) == 10


def test_ties_go_to_the_earlier_passage():
    codes = np.zeros((6, 64), np.uint8)
    assert search_codes(codes, bytes(64), 3)[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("top", [0, 3, 100])
def test_short_and_empty_archives(top):
    assert len(search_codes(np.empty((0, 64), np.uint8), bytes(64), top)[0]) == 0
    assert len(search_codes(_codes(5), bytes(64), top)[0]) == min(top, 5)


def test_fusion_prefers_what_both_rankings_name():
    fused = fuse([["a", "b", "c"], ["c", "d"]])
    assert [item for item, _ in fused] == ["c", "a", "b", "d"]
    assert fused[0][1] == pytest.approx(1 / 63 + 1 / 61)


def test_fusion_weights_count():
    assert fuse([["a"], ["b"]], weights=[1.0, 2.0])[0][0] == "b"
    assert fuse([]) == []
