"""Questions: checked, answered from the saved state and stored text, in the promised form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from app_home import by_name, fill, prose, write_files
from asking_home import FILES, QUESTION, RUN, answer_with, archive, services

from app import library, reading, recalling
from app.asking import ask
from app.errors import UserError
from app.questions import MAX_QUESTION, submit
from app.recalling import find_candidates
from app.request import Request
from app.services import Services
from app.worker import Worker
from engine import answering as engine_answering
from engine.answering import NOT_FOUND, AnswerEvent, AnswerResult, AnswerStats, Quote
from storage import Archive, NotFoundError, PassageText, documents, findings

__all__ = ["archive", "services"]  # fixtures


def test_the_answer_has_exactly_the_promised_form(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, QUESTION)
    promised = ["question", "answer", "status", "confidence", "citations", "context", "run", "asked"]
    assert list(answer) == promised + ["closest"] * (answer["status"] == "not_found")
    assert answer["asked"]["understood"] == QUESTION
    assert list(answer["context"]) == ["documents", "tokens_read", "tokens_total", "not_read"]
    assert list(answer["run"]) == RUN
    assert answer["status"] in ("supported", "partly_supported", "not_found")
    assert answer["run"]["device"] == "cpu"
    assert answer["context"]["documents"] == 3
    assert answer["context"]["tokens_read"] == answer["context"]["tokens_total"] > 0


def test_a_citation_points_at_the_quoted_characters_of_the_stored_text(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, "Six months. [1]")
    cited = ask(services, archive, QUESTION)["citations"][0]
    promised = ["number", "document", "page", "start", "end", "quote", "verified", "score"]
    assert list(cited) == [*promised, "recognised", "recognised_confidence"]
    assert (cited["recognised"], cited["recognised_confidence"]) == (False, None)
    assert cited["verified"] is True
    row = by_name(services, archive)[cited["document"]]
    with services.database.session() as s:
        assert documents.document_text(s, row.id, cited["start"], cited["end"]) == cited["quote"]


@pytest.mark.parametrize(
    ("change", "verified"),
    [
        ({}, True),
        ({"quote": "Six weeks are the notice."}, False),
        ({"verified": False}, False),
        ({"quote": ""}, False),
    ],
)
def test_a_quote_is_verified_only_if_the_stored_text_says_it(
    services: Services,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    verified: bool,
) -> None:
    with services.database.session() as s:
        found = find_candidates(
            services, services.contexts.get(services, archive.id), archive.id, QUESTION, None
        )[0]
    assert s is not None
    quote = replace(Quote(1, found.id, 4, 30, found.text[4:30], True, 0.8), **change)
    answer_with(monkeypatch, "Six months. [1]", quote=quote)
    assert ask(services, archive, QUESTION)["citations"][0]["verified"] is verified


def test_the_right_document_is_found_by_its_words(services: Services, archive: Archive) -> None:
    context = services.contexts.get(services, archive.id)
    found = find_candidates(services, context, archive.id, "niobium superconducting temperature", None)
    assert found[0].document == "lab.txt"


def test_every_passage_competes_by_its_code(services: Services, archive: Archive) -> None:
    context = services.contexts.get(services, archive.id)
    found = find_candidates(services, context, archive.id, "xyzzy", None)
    assert len({item.document for item in found}) == 3


def test_a_restricted_question_sees_no_other_document(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, Request(QUESTION, documents=("lab.txt",)))
    assert {cited["document"] for cited in answer["citations"]} <= {"lab.txt"}
    row = by_name(services, archive)["lab.txt"]
    context = services.contexts.get(services, archive.id)
    found = find_candidates(services, context, archive.id, QUESTION, [row.id])
    assert {item.document for item in found} == {"lab.txt"}


def test_the_last_part_of_a_name_names_a_document(services: Services, archive: Archive) -> None:
    asked = submit(services, archive, Request(QUESTION, documents=("LEASE.txt",)))
    assert asked.finding.documents == ["lease.txt"]


def test_an_unknown_document_is_refused_with_a_suggestion(services: Services, archive: Archive) -> None:
    with pytest.raises(NotFoundError) as refused:
        submit(services, archive, Request(QUESTION, documents=("laab.txt",)))
    assert refused.value.hint.startswith("Did you mean 'lab.txt'")
    with services.database.session() as s:
        assert findings.list_findings(s, archive.id) == []


@pytest.mark.parametrize("question", ["", "   \n"])
def test_an_empty_question_is_refused(services: Services, archive: Archive, question: str) -> None:
    with pytest.raises(UserError, match="empty"):
        ask(services, archive, question)


def test_an_overlong_question_is_refused_whole(services: Services, archive: Archive) -> None:
    with pytest.raises(UserError, match="50,000 characters"):
        ask(services, archive, "x" * 50_000)
    assert ask(services, archive, "why " * (MAX_QUESTION // 4))["status"]


@pytest.mark.parametrize(
    "question",
    ["Wie lang ist die Kündigungsfrist?", "契約の解約予告期間は?", "ما هي مدة الإشعار؟", '" OR * NEAR('],
)
def test_a_question_in_any_language_or_syntax_is_answered(
    services: Services, archive: Archive, question: str
) -> None:
    assert ask(services, archive, question)["question"] == question


def test_a_refusal_names_what_came_closest(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Iterator[AnswerEvent]:
        yield AnswerEvent(NOT_FOUND, True, AnswerResult(NOT_FOUND, "not_found", 0.9, (), AnswerStats()))

    monkeypatch.setattr(engine_answering, "answer", refuse)
    answer = ask(services, archive, QUESTION)
    assert (answer["status"], answer["citations"]) == ("not_found", [])
    assert 1 <= len(answer["closest"]) <= 3
    for item in answer["closest"]:
        assert item["quote"] in " ".join(FILES.values())


def test_an_empty_archive_answers_that_it_does_not_say(services: Services) -> None:
    answer = ask(services, library.create_archive(services, "Empty"), QUESTION)
    assert (answer["status"], answer["citations"], answer["closest"]) == ("not_found", [], [])
    assert answer["context"] == {"documents": 0, "tokens_read": 0, "tokens_total": 0, "not_read": []}


def test_what_was_not_read_is_stated_with_its_reason(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = fill(services, tmp_path / "in", {**FILES, "empty.txt": ""})
    more = write_files(tmp_path / "more", {"late.txt": "Later words."})
    library.add_files(services, archive, [more / "late.txt"])
    with monkeypatch.context() as patched:
        patched.setattr(reading.Reader, "run", lambda self: {})
        Worker(services).run_until_idle()
    reasons = {
        item["document"]: item["reason"] for item in ask(services, archive, QUESTION)["context"]["not_read"]
    }
    assert reasons["late.txt"] == "not read yet"
    assert "empty" in reasons["empty.txt"]
    assert set(reasons) == {"late.txt", "empty.txt"}


def test_a_question_before_any_reading_says_that_nothing_was_read(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.Reader, "run", lambda self: {})
    archive = fill(services, tmp_path / "in", FILES)
    context = ask(services, archive, QUESTION)["context"]
    assert context["tokens_read"] == 0
    assert {item["reason"] for item in context["not_read"]} == {"not read yet"}
    assert len(context["not_read"]) == 3


def test_questions_start_from_the_newest_state_kept_in_memory(
    services: Services, archive: Archive, tmp_path: Path
) -> None:
    first = services.contexts.get(services, archive.id)
    assert services.contexts.get(services, archive.id) is first
    more = write_files(tmp_path / "more", {"late.txt": prose(8, 3)})
    library.add_files(services, archive, [more / "late.txt"])
    Worker(services).run_until_idle()
    second = services.contexts.get(services, archive.id)
    assert second.state.tokens_read > first.state.tokens_read
    assert len(second.ids) > len(first.ids)


def test_asking_leaves_the_archives_state_as_it_was(services: Services, archive: Archive) -> None:
    before = services.contexts.get(services, archive.id).state.tokens_read
    ask(services, archive, QUESTION)
    assert services.contexts.get(services, archive.id).state.tokens_read == before


@pytest.mark.parametrize(
    ("alike", "prefer", "first"),
    [
        ({}, (), [1, 2, 3]),
        ({57: 1.0}, (), [57, 1, 2]),
        ({57: 0.01}, (), [1, 2, 3]),
        (dict.fromkeys(range(31, 61), 1.0), (), [41, 42, 43]),
        ({57: 1.0}, (9,), [1, 21, 41]),
    ],
    ids=[
        "places alone",
        "much more alike",
        "hardly more alike",
        "half of them alike",
        "a follow-up leaves words out",
    ],
)
def test_candidates_are_ordered_by_their_places_and_by_likeness(
    services: Services,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    alike: dict[int, float],
    prefer: tuple[int, ...],
    first: list[int],
) -> None:
    ids = list(range(1, 61))
    by_words, within, by_code = ids[:20], ids[20:40], ids[40:60]
    searches = iter([by_words, within, []])
    monkeypatch.setattr(recalling, "_search", lambda *given: next(searches))
    monkeypatch.setattr(recalling, "_best_documents", lambda *given: [])
    monkeypatch.setattr("engine.recall.search_codes", lambda *given: (np.arange(20), None))
    rows = [PassageText(i, 1, "file.txt", "", "", 1, 0, 1, str(i)) for i in ids]
    monkeypatch.setattr(recalling.passages, "get_passages", lambda s, ids: [rows[i - 1] for i in ids])
    monkeypatch.setattr(
        "engine.likeness.likeness",
        lambda engine, question, texts: [alike.get(int(text.split("\n")[1]), 0.0) for text in texts],
    )
    context = SimpleNamespace(ids=np.array(by_code), codes=np.zeros((20, 1), np.uint8))
    found = recalling.find_candidates(services, context, archive.id, "notice period", None, prefer)  # type: ignore[arg-type]
    assert [item.id for item in found[:3]] == first
    assert len(found) == recalling.CANDIDATES
    if not prefer:
        assert set(by_words[: recalling.FIRST_BY_WORDS]) <= {item.id for item in found}
