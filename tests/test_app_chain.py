"""The order of the context and its hash chain decide which saved states still fit."""

from __future__ import annotations

import hashlib

from app.chain import Entry, Plan
from storage import Checkpoint


def plan(*documents: tuple[str, int]) -> Plan:
    entries, start = [], 0
    for number, (sha256, tokens) in enumerate(documents, start=1):
        entries.append(Entry(number, sha256, sha256, tokens, start))
        start += tokens + 1
    return Plan(tuple(entries))


def checkpoint(of: Plan, tokens: int) -> Checkpoint:
    return Checkpoint(chain=of.chain(tokens), tokens=tokens, documents=of.whole(tokens))


THREE = plan(("a", 10), ("b", 20), ("c", 30))


def test_the_chain_is_the_one_of_the_contract() -> None:
    first = hashlib.sha256(b"a:10").hexdigest()
    second = hashlib.sha256(f"{first}b:20".encode()).hexdigest()
    assert [THREE.chain(0), THREE.chain(11), THREE.chain(12)] == ["", first, second]


def test_a_document_is_whole_at_its_last_token_and_touched_from_its_separator_on() -> None:
    assert [THREE.whole(n) for n in (0, 10, 11, 12, 31, 32, 63)] == [0, 0, 1, 1, 1, 2, 3]
    assert [THREE.touched(n) for n in (0, 1, 11, 12, 32, 33, 63)] == [0, 1, 1, 2, 2, 3, 3]
    assert THREE.total == 63


def test_a_state_fits_as_long_as_what_it_has_touched_is_unchanged() -> None:
    in_second = checkpoint(THREE, 15)
    assert plan(("a", 10), ("b", 20)).accepts(in_second)
    assert plan(("a", 10), ("b", 20), ("d", 5)).accepts(in_second)
    assert not plan(("b", 20), ("a", 10), ("c", 30)).accepts(in_second)
    assert not plan(("a", 10), ("b", 21), ("c", 30)).accepts(in_second)
    assert not plan(("a", 10), ("c", 30)).accepts(in_second)


def test_a_state_longer_than_the_context_does_not_fit() -> None:
    assert not plan(("a", 10)).accepts(checkpoint(THREE, 63))


def test_a_live_state_continues_under_a_plan_with_more_documents() -> None:
    longer = plan(("a", 10), ("b", 20), ("c", 30), ("d", 40))
    assert longer.continues(THREE, 63)
    assert not plan(("a", 10), ("c", 30)).continues(THREE, 12)
