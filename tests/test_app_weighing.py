"""The model's part in a summary: behind what a sentence is weighed, how many are, what its word decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from app_home import copy_read, tiny_engine
from asking_home import services

from app.asking import ask
from app.questions import load_answer, submit
from app.request import SUMMARY, Request, titled
from app.salience import Candidate, Rarity, choose_sentences, document_words, weighed_of
from app.services import Services
from app.weighing import LEAD_TOKENS, Weighing, _evenly
from app.worker import Worker
from engine import salience
from storage import Archive, PassageText, archives, jobs

__all__ = ["services"]  # a fixture

FILES = {
    "glacier.txt": "The survey measured the depth of the glacier at twelve stations.\n\n"
    "At every station the glacier was thinner than in the survey before.\n\n"
    "The costs of the survey were borne by the canton and by the university.\n\n"
    "The next survey of the glacier will be made after the second winter.\n"
}
WHOLE = titled(Request("", SUMMARY), "Archive")
PLACES = "north south east west upper lower inner outer first second third fourth fifth sixth last".split()


@pytest.fixture
def archive(services: Services, tmp_path: Path) -> Archive:
    copy_read(tmp_path, FILES)
    with services.database.session() as s:
        return archives.get_archive(s, "Archive")


def passage(text: str, key: int) -> PassageText:
    return PassageText(key, 1, "a.txt", "A title", "", 1, 1000 * key, 1000 * key + len(text), text)


def candidate(item: PassageText) -> Candidate:
    return Candidate(item, 0, len(item.text), 1.0, frozenset({"a"}))


def found() -> list[PassageText]:
    text = "The {} harbour was closed to all ships for the whole of the winter."
    return [passage(text.format(place), number) for number, place in enumerate(PLACES)]


def choose(count: int, weigh: Any) -> list[Candidate]:
    items = found()
    return choose_sentences(items, {}, document_words(items, Rarity(["other"])), count, weigh)


def test_a_sentence_is_weighed_behind_passages_it_does_not_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, leads = tiny_engine(), []

    class Listening(salience.Behind):
        def __init__(self, engine: Any, state: Any, lead: Sequence[int]) -> None:
            leads.append(engine.tokenizer.decode(list(lead)))
            super().__init__(engine, state, lead)

    monkeypatch.setattr(salience, "Behind", Listening)
    items = [passage(f"{word} stands here.", key) for key, word in enumerate(("Alpha", "Beta", "Gamma"))]
    weighing = Weighing(engine, None, "A title", items)
    weighing(candidate(items[0]))
    assert leads == ["A title\nBeta stands here.\n\n\nSummary\n"]
    weighing(candidate(items[2]))
    assert len(leads) == 1, "what was read once is not read again"
    weighing(candidate(items[1]))
    assert leads[1] == "A title\nAlpha stands here.\nGamma stands here.\n\n\nSummary\n"


def test_a_saved_state_counts_and_is_left_as_it_was() -> None:
    engine = tiny_engine()
    state = engine.new_state()
    list(engine.read(list(range(10, 60)), state))
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    items = [passage("Alpha stands here.", 0), passage("Beta stands there.", 1)]
    behind = Weighing(engine, state, "A title", items)(candidate(items[0]))
    assert behind != Weighing(engine, None, "A title", items)(candidate(items[0]))
    assert state.tokens_read == 50
    assert all(torch.equal(before[name], tensor) for name, tensor in state.tensors().items())


def test_the_lead_in_is_bounded_and_reaches_to_the_end() -> None:
    pieces = [[number] * 200 for number in range(100)]
    lead = _evenly(pieces)
    assert len(lead) <= LEAD_TOKENS
    assert max(lead) > 80
    assert _evenly([[1, 2], [3]]) == [1, 2, 3]
    assert _evenly([]) == []


def test_what_the_model_finds_likely_is_chosen() -> None:
    asked: list[int] = []

    def ask_all(one: Candidate) -> float:
        asked.append(one.passage.id)
        return 0.0

    choose(1, ask_all)
    (best,) = choose(1, lambda one: float(one.passage.id == asked[-1]))
    assert best.passage.id == asked[-1]
    assert 0 <= best.score <= 1


def test_only_the_best_are_weighed() -> None:
    asked: list[int] = []

    def weigh(one: Candidate) -> float:
        asked.append(one.passage.id)
        return -float(one.passage.id)

    assert len(choose(1, weigh)) == 1
    assert len(asked) == len(set(asked)) == weighed_of(1) < len(PLACES)


def test_where_every_sentence_is_kept_none_is_weighed() -> None:
    assert len(choose(len(PLACES), lambda one: pytest.fail("weighed"))) == len(PLACES)


def test_a_summary_says_that_the_model_weighed_it(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, WHOLE)
    assert [part["weighed"] for part in answer["parts"]] == [True]
    assert all(0 <= cited["score"] <= 1 for cited in answer["citations"])


def test_a_walk_stops_between_two_sentences(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = submit(services, archive, WHOLE)
    worker, weighed = Worker(services), []

    def stop(self: Weighing, one: Candidate) -> float:
        weighed.append(one)
        worker.stop()
        return 0.0

    monkeypatch.setattr(Weighing, "__call__", stop)
    worker.run_until_idle()
    assert len(weighed) == 1
    with services.database.session() as s:
        assert jobs.get_job(s, asked.job.id).status == "queued"
    assert not load_answer(services, asked.finding.id).get("parts")
