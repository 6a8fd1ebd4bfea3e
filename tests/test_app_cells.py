"""A cell of the matrix: its sentence, the words of its answer, found or not found, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from app_home import by_name
from matrix_home import NOTICE, archive, cells_of, fill, services

from app import cells
from app.services import Services
from engine.evidence import Weighed
from engine.refusal import DOCUMENT, Score
from engine.sentences import sentence_spans
from storage import Archive, MatrixQuestion, PassageText, QuestionData, documents, matrices

__all__ = ["archive", "services"]  # fixtures


def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the sentence of most shared words for the answer: the tiny model's likelihoods say nothing."""
    judge = lambda gain, odds, relevance, score: 0.9 + relevance / 100  # noqa: E731
    monkeypatch.setattr("engine.refusal.found_probability", judge)


def test_an_answer_is_quoted_from_its_own_document_and_verified(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure(monkeypatch)
    found = cells_of(services, fill(services, archive))
    cell = found["oak.txt", "Notice"]
    assert cell.answer == "The notice period is six months."
    assert found["ash.txt", "Notice"].answer == "The notice period of the Ash House lease is three months."
    assert cell.verified
    row = by_name(services, archive)["oak.txt"]
    with services.database.session() as s:
        assert documents.document_text(s, row.id, cell.start or 0, cell.end) == cell.quote


def test_a_trained_models_own_words_stand_where_the_sentence_carries_them(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure(monkeypatch)
    engine = services.engine
    monkeypatch.setattr(engine, "config", replace(engine.config, grounded=True))
    drafted = engine.tokenizer.encode(" six months")  # type: ignore[union-attr]
    monkeypatch.setattr(engine, "generate", lambda *given: iter(drafted))
    found = cells_of(services, fill(services, archive, NOTICE))
    oak, ash = found["oak.txt", "Notice"], found["ash.txt", "Notice"]
    assert (oak.answer, oak.quote) == ("six months", "The notice period is six months.")
    assert ash.answer == ash.quote == "The notice period of the Ash House lease is three months."


def test_a_cell_is_refused_by_the_odds_that_ordinary_answers_are(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def judge(gain: float, odds: float, relevance: float, named: float = 1.0, *, score: Score) -> float:
        asked.append((odds, score))
        return 0.9 if odds > 0 else 0.1

    def weighed(engine: Any, question: str, items: Any, *given: Any) -> list[Weighed]:
        return [Weighed(item, 1.0, 3.0 if "six" in item.text else -3.0, 10) for item in items]

    monkeypatch.setattr("engine.refusal.found_probability", judge)
    monkeypatch.setattr("engine.answering.rank_evidence", weighed)
    found = cells_of(services, fill(services, archive, NOTICE))
    assert {name: cell.status for (name, _), cell in found.items()} == {
        "oak.txt": "supported",
        "elm.txt": "not_found",
        "ash.txt": "not_found",
    }
    assert {score for _, score in asked} == {DOCUMENT}


def test_where_words_say_little_more_sentences_are_read(services: Services, archive: Archive) -> None:
    reader = cells.CellReader(services, archive.id)
    row = by_name(services, archive)["oak.txt"]
    text = " ".join(f"Sentence {n} speaks of bread and of butter." for n in range(12))
    passage = PassageText(1, row.id, "oak.txt", "", "", 1, 0, len(text), text)
    strange = MatrixQuestion(id=1, position=0, label="Z", question="Which zeppelin was purple?", terms="")
    assert len(reader._listed(strange, [passage])) == min(cells.READ_MORE, len(sentence_spans(text)))
    known = MatrixQuestion(id=2, position=0, label="B", question="Is the zeppelin made of bread?", terms="")
    assert len(reader._listed(known, [passage])) <= cells.READ


def test_what_a_document_does_not_say_is_not_found(services: Services, archive: Archive) -> None:
    found = cells_of(
        services, fill(services, archive, QuestionData("Which zeppelin was painted purple?", "Z"))
    )
    assert {cell.status for cell in found.values()} == {"not_found"}
    assert {cell.quote for cell in found.values()} == {""}


def test_a_cell_costs_the_model_few_tokens(services: Services, archive: Archive) -> None:
    made = fill(services, archive)
    with services.database.session() as s:
        run = matrices.get_matrix(s, made.id).run
    assert run["tokens"] / run["cells"] < 400  # the tiny tokenizer needs twice the tokens of a real one


def test_a_long_sentence_is_cut_at_a_word_for_the_table() -> None:
    assert cells.shortened("a  b\nc") == "a b c"
    cut = cells.shortened("word " * 200)
    assert len(cut) <= cells.LONGEST + 2
    assert cut.endswith("word …")
