"""The ask job: a question answered from the newest state and verified quotes, kept as a growing finding."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from app.errors import JobCancelledError, JobStoppedError, UserError, describe
from app.everything import telling_span
from app.inquiry import Inquiry, OnText, cite, cite_quote
from app.measuring import power_values
from app.questions import check_question, load_answer
from app.recalling import Context, find_candidates, weigh
from app.request import ANSWER, COMPARISON, EVERYTHING, SUMMARY, request_of
from app.services import Services
from app.task import Task
from storage import CitationData, Finding, NotFoundError, PassageText, findings

if TYPE_CHECKING:
    from engine.answering import AnswerResult, Quote
    from engine.evidence import Weighed

CLOSEST = 3  # passages shown where none answers
CLOSEST_KEYS = ("document", "page", "start", "end", "quote")


def run_ask(services: Services, task: Task, on_text: OnText | None = None) -> dict[str, Any]:
    """Work on the finding of the job; the result of a plain question is what `ask --json` prints."""
    with services.database.session() as s:
        finding_id = task.job.payload.get("finding_id")
        finding = findings.get_finding(s, finding_id) if finding_id else findings.find_by_job(s, task.job.id)
    if finding is None:
        raise UserError("no_question", "This job carries no question.", "Ask again.")
    if finding.status == "running":
        try:
            check_question(finding.question)
            _work_on(services, task, finding, on_text)
        except JobCancelledError:
            _close(services, finding.id, "cancelled")
            raise
        except JobStoppedError:
            raise
        except Exception as error:
            _close(services, finding.id, "failed", describe(error).message)
            raise
    answer = load_answer(services, finding.id)
    if request_of(finding).kind == ANSWER:
        return answer
    return {"finding": finding.id, "status": answer["status"], "run": answer["run"]}  # it may be long


def _work_on(services: Services, task: Task, finding: Finding, on_text: OnText | None) -> None:
    """By the kind of question."""
    from app.comparing import Comparing
    from app.everything import Everything
    from app.summarising import Summarising

    kinds: dict[str, type[Inquiry]] = {
        COMPARISON: Comparing,
        EVERYTHING: Everything,
        SUMMARY: Summarising,
    }
    kinds.get(request_of(finding).kind, Answering)(services, task, finding, on_text).run()


def _close(services: Services, finding_id: int, status: str, error: str = "") -> None:
    with suppress(NotFoundError), services.database.session() as s:  # the person may have deleted it
        findings.update_finding(s, finding_id, status=status, error=error)


class Answering(Inquiry):
    """One question being answered."""

    def run(self) -> None:
        """Recall, rank, answer, verify, store."""
        self.load_model()
        self.say("Looking through every passage")
        started = time.monotonic()
        with self.services.meter.measure() as power:
            context = self.services.contexts.get(self.services, self.finding.archive_id)
            found = self._candidates(context)
            self.say("Weighing the passages")
            ranked = self._weigh(found)
            result, waited_s = self._answer(context, ranked, started)
        run = self.run_values(context) | run_stats(result, waited_s) | power_values(power)
        by_id = {item.id: item for item in found}
        more: dict[str, Any] = {}
        with self.services.database.session() as s:
            cited = cite_quotes(s, result.quotes, found)
            if result.status == "not_found":
                closest = [by_id[item.evidence.id] for item in ranked[:CLOSEST]]
                more["closest"] = [quote_telling(s, item, self.question) for item in closest]
        self.store(context, result.answer, result.status, result.confidence, cited, run, **more)

    def _candidates(self, context: Context) -> list[PassageText]:
        archive_id, only, prefer = self.finding.archive_id, self.scope(), self.cited_before()
        if only is not None:
            prefer = [key for key in prefer if key in set(only)]
        found = find_candidates(self.services, context, archive_id, self.question, only, prefer)
        self.task.check()
        return found

    def _weigh(self, found: list[PassageText]) -> list[Weighed]:
        ranked = weigh(self.services.engine, self.question, found)
        self.task.check()
        return ranked

    def _answer(self, context: Context, ranked: list[Weighed], started: float) -> tuple[AnswerResult, float]:
        from engine.answering import answer

        engine = self.services.engine
        self.say("Reading the best passages")
        waited_s = time.monotonic() - started
        for event in answer(engine, context.state, self.question, ranked):
            self.task.check()
            if event.result is not None:
                return event.result, waited_s
            self.show(event.text_so_far)
        raise RuntimeError("the engine ended an answer without a result")


def quote_telling(s: Session, passage: PassageText, question: str) -> dict[str, Any]:
    """The sentence of a passage that says most about the question, with its place in the document."""
    cited = cite(s, 0, passage, *telling_span(passage, question))
    return {name: getattr(cited, name) for name in CLOSEST_KEYS}


def run_stats(result: AnswerResult, waited_s: float) -> dict[str, Any]:
    """Speeds and spikes of an answer, the time to its first token counted from the question."""
    stats = result.stats
    return {
        "ttft_s": None if stats.ttft_s is None else waited_s + stats.ttft_s,
        "read_tokens_per_s": stats.read_tokens_per_s,
        "write_tokens_per_s": stats.write_tokens_per_s,
        "spikes_per_channel": stats.spikes_per_channel,
        "silent_share": stats.silent_share,
    }


def cite_quotes(
    s: Session, quotes: tuple[Quote, ...], found: list[PassageText], before: int = 0
) -> list[CitationData]:
    """Quotes at their places in the documents, numbered on from `before`."""
    by_id = {item.id: item for item in found}
    cited = []
    for quote in quotes:
        data = cite_quote(
            s,
            quote.number + before,
            by_id[quote.evidence_id],
            quote.start,
            quote.end,
            quote.quote,
            quote.score,
        )
        cited.append(data if quote.verified else replace(data, verified=False))
    return cited
