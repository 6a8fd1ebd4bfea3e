"""Findings: they grow with the answer, outlive what goes wrong, and keep what the run cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from app_home import tiny_engine
from asking_home import QUESTION, answer_with, archive, finding_of, services

from app import answering, inquiry, library
from app.asking import ask
from app.errors import AppError
from app.questions import as_json, load_answer, submit
from app.services import Services
from app.worker import Worker
from devices import Measurement
from engine import answering as engine_answering
from engine.answering import AnswerEvent
from storage import Archive, findings, jobs, metrics

__all__ = ["archive", "services"]  # fixtures


def test_the_finding_grows_while_the_answer_is_written(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "SHOW_S", 0.0)
    answer_with(monkeypatch, "Six", "Six months", "Six months. [1]")
    asked = submit(services, archive, QUESTION)
    seen: list[str] = []
    show = answering.Answering.show

    def showing(self: Any, text: str) -> None:
        show(self, text)
        seen.append(finding_of(services, asked.finding.id).answer)

    monkeypatch.setattr(answering.Answering, "show", showing)
    Worker(services).run_until_idle()
    assert seen == ["Six", "Six months"]
    done = finding_of(services, asked.finding.id)
    assert (done.answer, done.status) == ("Six months. [1]", "supported")


def test_an_answer_begun_by_a_dead_worker_never_shrinks(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "SHOW_S", 0.0)
    answer_with(monkeypatch, "Six", "Six months are it", "Six months are it. [1]")
    asked = submit(services, archive, QUESTION)
    with services.database.session() as s:
        findings.update_finding(s, asked.finding.id, answer="Six months")
    seen: list[str] = []
    show = answering.Answering.show

    def showing(self: Any, text: str) -> None:
        show(self, text)
        seen.append(finding_of(services, asked.finding.id).answer)

    monkeypatch.setattr(answering.Answering, "show", showing)
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
    monkeypatch.setattr(inquiry, "SHOW_S", 0.0)
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


def test_the_run_is_kept_with_the_finding_and_as_a_metric(services: Services, archive: Archive) -> None:
    ask(services, archive, QUESTION)
    with services.database.session() as s:
        finding = findings.list_findings(s, archive.id)[0]
        metric = metrics.list_metrics(s, "ask", archive.id)[0]
    assert finding.run["fingerprint"] == tiny_engine().fingerprint
    assert finding.run["memory_bytes"] > 0
    assert metric.finding_id == finding.id


def test_power_is_measured_by_the_meter_in_use(services: Services, archive: Archive) -> None:

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
