"""Questions: checked, answered from the saved state and stored text, kept in the promised form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from app_home import by_name, copy_read, fill, make_services, prose, tiny_engine, write_files

from app import answering, library, reading
from app.asking import ask
from app.errors import AppError, UserError
from app.questions import MAX_QUESTION, as_json, load_answer, submit
from app.recalling import find_candidates
from app.services import Services
from app.worker import Worker
from engine import answering as engine_answering
from engine.answering import AnswerEvent, AnswerResult, AnswerStats, Quote
from storage import Archive, Finding, NotFoundError, archives, documents, findings, jobs, metrics

LEASE = "The lease of 12 Harbour Street runs for ten years. The notice period is six months.\n"
LAB = "The niobium film became superconducting at 9.12 kelvin. The clamp was tightened on Monday.\n"
FILES = {"law/lease.txt": LEASE, "lab.txt": LAB, "long.txt": prose(3, 12)}
QUESTION = "What is the notice period of the lease of 12 Harbour Street?"

RUN = (
    "model device backend ttft_s read_tokens_per_s write_tokens_per_s energy_j power_w power_source "
    "spikes_per_channel silent_share"
).split()


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


@pytest.fixture
def archive(services: Services, tmp_path: Path) -> Archive:
    copy_read(tmp_path, FILES)
    with services.database.session() as s:
        return archives.get_archive(s, "Archive")


def answer_with(monkeypatch: pytest.MonkeyPatch, *texts: str, quote: Quote | None = None) -> None:
    """Have the engine say these texts one after another, the last with a quote of the best evidence."""

    def answer(engine: Any, state: Any, question: str, evidence: Any, **more: Any) -> Iterator[AnswerEvent]:
        for text in texts[:-1]:
            yield AnswerEvent(text, False)
        quotes = (quote,) if quote else _quotes(evidence)
        yield AnswerEvent(
            texts[-1], True, AnswerResult(texts[-1], "supported", 0.9, quotes, AnswerStats(ttft_s=0.1))
        )

    def _quotes(evidence: Any) -> tuple[Quote, ...]:
        item = evidence[0][0]
        return (Quote(1, item.id, 4, 30, item.text[4:30], True, 0.8),)

    monkeypatch.setattr(engine_answering, "answer", answer)


def finding_of(services: Services, finding_id: int) -> Finding:
    with services.database.session() as s:
        return findings.get_finding(s, finding_id)


def test_the_answer_has_exactly_the_promised_form(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, QUESTION)
    assert list(answer) == ["question", "answer", "status", "confidence", "citations", "context", "run"]
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
    assert list(cited) == ["number", "document", "page", "start", "end", "quote", "verified", "score"]
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
    answer = ask(services, archive, QUESTION, ["lab.txt"])
    assert {cited["document"] for cited in answer["citations"]} <= {"lab.txt"}
    row = by_name(services, archive)["lab.txt"]
    context = services.contexts.get(services, archive.id)
    found = find_candidates(services, context, archive.id, QUESTION, [row.id])
    assert {item.document for item in found} == {"lab.txt"}


def test_the_last_part_of_a_name_names_a_document(services: Services, archive: Archive) -> None:
    asked = submit(services, archive, QUESTION, ["LEASE.txt"])
    assert asked.finding.documents == ["lease.txt"]


def test_an_unknown_document_is_refused_with_a_suggestion(services: Services, archive: Archive) -> None:
    with pytest.raises(NotFoundError) as refused:
        submit(services, archive, QUESTION, ["laab.txt"])
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


def test_an_empty_archive_answers_that_it_does_not_say(services: Services) -> None:
    answer = ask(services, library.create_archive(services, "Empty"), QUESTION)
    assert (answer["status"], answer["citations"]) == ("not_found", [])
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


def test_the_finding_grows_while_the_answer_is_written(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "SHOW_S", 0.0)
    answer_with(monkeypatch, "Six", "Six months", "Six months. [1]")
    asked = submit(services, archive, QUESTION)
    seen: list[str] = []
    show = answering.Answering._show

    def showing(self: Any, text: str) -> None:
        show(self, text)
        seen.append(finding_of(services, asked.finding.id).answer)

    monkeypatch.setattr(answering.Answering, "_show", showing)
    Worker(services).run_until_idle()
    assert seen == ["Six", "Six months"]
    done = finding_of(services, asked.finding.id)
    assert (done.answer, done.status) == ("Six months. [1]", "supported")


def test_an_answer_begun_by_a_dead_worker_never_shrinks(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "SHOW_S", 0.0)
    answer_with(monkeypatch, "Six", "Six months are it", "Six months are it. [1]")
    asked = submit(services, archive, QUESTION)
    with services.database.session() as s:
        findings.update_finding(s, asked.finding.id, answer="Six months")
    seen: list[str] = []
    show = answering.Answering._show

    def showing(self: Any, text: str) -> None:
        show(self, text)
        seen.append(finding_of(services, asked.finding.id).answer)

    monkeypatch.setattr(answering.Answering, "_show", showing)
    Worker(services).run_until_idle()
    assert seen == ["Six months", "Six months are it"]


def test_a_finished_finding_is_not_answered_again(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, "Once. [1]")
    asked = submit(services, archive, QUESTION)
    Worker(services).run_until_idle()
    answer_with(monkeypatch, "Twice. [1]")
    with services.database.session() as s:
        job = jobs.get_job(s, asked.job.id)
        job.status = "queued"
    Worker(services).run_until_idle()
    assert load_answer(services, asked.finding.id)["answer"] == "Once. [1]"


def test_cancelling_stops_the_answer_and_keeps_its_text(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "SHOW_S", 0.0)
    asked = submit(services, archive, QUESTION)

    def answer(*args: Any, **more: Any) -> Iterator[AnswerEvent]:
        yield AnswerEvent("Six", False)
        library.cancel(services, asked.job.id)
        while True:
            yield AnswerEvent("Six months", False)

    monkeypatch.setattr(engine_answering, "answer", answer)
    monkeypatch.setattr("app.task.BEAT_S", 0.05)
    Worker(services).run_until_idle()
    done = finding_of(services, asked.finding.id)
    assert done.status == "cancelled"
    assert done.answer.startswith("Six")


def test_cancelling_a_waiting_question_ends_its_finding(services: Services, archive: Archive) -> None:
    asked = submit(services, archive, QUESTION)
    library.cancel(services, asked.job.id)
    assert finding_of(services, asked.finding.id).status == "cancelled"


def test_a_failure_while_answering_ends_the_finding_in_words(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(*args: Any, **more: Any) -> Iterator[AnswerEvent]:
        raise AppError("broken", "The model broke.", "Mend it.")
        yield AnswerEvent("", False)

    monkeypatch.setattr(engine_answering, "answer", answer)
    asked = submit(services, archive, QUESTION)
    Worker(services).run_until_idle()
    done = finding_of(services, asked.finding.id)
    assert (done.status, done.error) == ("failed", "The model broke.")
    with pytest.raises(AppError, match="The model broke"):
        ask(services, archive, QUESTION)


def test_a_job_made_by_the_page_is_answered(services: Services, archive: Archive) -> None:
    with services.database.session() as s:
        finding = findings.create_finding(s, archive.id, None, QUESTION, [])
        payload = {"finding_id": finding.id, "question": QUESTION, "documents": []}
        job = jobs.enqueue(s, "ask", archive.id, payload, 10)
        findings.update_finding(s, finding.id, job_id=job.id)
    Worker(services).run_until_idle()
    done = finding_of(services, finding.id)
    assert done.status in ("supported", "partly_supported", "not_found")
    assert as_json(done)["question"] == QUESTION


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


def test_the_run_is_kept_with_the_finding_and_as_a_metric(services: Services, archive: Archive) -> None:
    ask(services, archive, QUESTION)
    with services.database.session() as s:
        finding = findings.list_findings(s, archive.id)[0]
        metric = metrics.list_metrics(s, "ask", archive.id)[0]
    assert finding.run["fingerprint"] == tiny_engine().fingerprint
    assert finding.run["memory_bytes"] > 0
    assert metric.finding_id == finding.id


def test_power_is_measured_by_the_meter_in_use(services: Services, archive: Archive) -> None:
    from contextlib import contextmanager

    from devices import Measurement

    class Fake:
        source = "a test's meter"

        @contextmanager
        def measure(self) -> Iterator[Measurement]:
            power = Measurement()
            yield power
            power.energy_j, power.power_w, power.source = 12.5, 6.25, self.source

    services._meter = Fake()
    run = ask(services, archive, QUESTION)["run"]
    assert (run["energy_j"], run["power_w"], run["power_source"]) == (12.5, 6.25, "a test's meter")
