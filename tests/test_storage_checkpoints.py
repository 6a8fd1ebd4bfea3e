"""The checkpoint ladder: dense near the newest, sparse far back, never a long way to re-read."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_rows import add_archive, new_database

from storage import Database, checkpoints

STEP = 1_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ladder_grown_step_by_step_stays_short_and_dense_enough(db: Database, seed: int) -> None:
    source, tokens, added, dropped = random.Random(seed), 0, [], []
    with db.session() as s:
        archive = add_archive(s)
        for number in range(400):
            tokens += source.randint(1, STEP)
            added.append(tokens)
            checkpoints.add_checkpoint(
                s, archive.id, "m", f"{number:x}", number, tokens, f"{number}.state", 10
            )
            dropped += checkpoints.thin(s, archive.id, "m")
        rungs = [c.tokens for c in checkpoints.list_checkpoints(s, archive.id, "m")]
    assert rungs[-1] == tokens
    assert len(rungs) <= 2 * math.log2(tokens) + 2
    assert len(dropped) == len(set(dropped)) == len(added) - len(rungs)
    for place in range(0, tokens, 97):
        nearest = max((rung for rung in rungs if rung <= place), default=0)
        assert place - nearest <= max(tokens - place, 2 * STEP)


def test_thin_touches_one_model_of_one_archive(db: Database) -> None:
    with db.session() as s:
        one, two = add_archive(s, "One"), add_archive(s, "Two")
        for archive, model in ((one, "m"), (one, "n"), (two, "m")):
            for tokens in range(0, 1000, 10):
                checkpoints.add_checkpoint(
                    s, archive.id, model, "", 0, tokens, f"{archive.id}{model}{tokens}", 1
                )
        files = checkpoints.thin(s, one.id, "m")
        assert files
        assert all(file.startswith(f"{one.id}m") for file in files)
        assert len(checkpoints.list_checkpoints(s, one.id, "n")) == 100
        assert len(checkpoints.list_checkpoints(s, two.id)) == 100


@pytest.mark.parametrize(("most", "kept"), [(None, 3), (220, 3), (175, 2), (90, 1), (1, 1)])
def test_large_checkpoints_stay_within_their_bytes_and_the_newest_always(
    db: Database, most: int | None, kept: int
) -> None:
    with db.session() as s:
        archive = add_archive(s)
        for tokens, size in ((50_000, 50), (80_000, 80), (90_000, 90)):
            checkpoints.add_checkpoint(s, archive.id, "m", f"{tokens}", 1, tokens, f"{tokens}.state", size)
        dropped = checkpoints.thin(s, archive.id, "m", most)
        rungs = [rung.tokens for rung in checkpoints.list_checkpoints(s, archive.id)]
    assert rungs == [50_000, 80_000, 90_000][-kept:]
    assert dropped == [f"{tokens}.state" for tokens in (50_000, 80_000, 90_000)[:-kept]]


def test_few_checkpoints_far_apart_are_all_kept(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        for tokens in (500, 900, 1000):
            checkpoints.add_checkpoint(s, archive.id, "m", "", 0, tokens, str(tokens), 1)
        assert checkpoints.thin(s, archive.id, "m") == []


def test_checkpoints_are_removed_by_id_or_all(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        ids = [checkpoints.add_checkpoint(s, archive.id, "m", "", 0, n, f"{n}", 1).id for n in range(3)]
        assert checkpoints.remove_checkpoints(s, archive.id, [ids[1]]) == ["1"]
        assert checkpoints.remove_checkpoints(s, archive.id) == ["0", "2"]
        assert checkpoints.list_checkpoints(s, archive.id) == []
