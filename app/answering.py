"""The ask job: a question answered from the newest state and verified quotes, kept as a growing finding."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from app.coverage import describe_context
from app.errors import JobCancelledError, JobStoppedError, UserError, describe
from app.measuring import power_values
from app.questions import check_question, find_documents, load_answer
from app.recalling import EVIDENCE, Context, as_evidence, find_candidates
from app.services import Services
from app.task import Task
from storage import CitationData, Finding, NotFoundError, PassageText, documents, findings, metrics

if TYPE_CHECKING:
    from engine.answering import AnswerResult, Quote

SHOW_S = 0.3
OnText = Callable[[str], None]


def run_ask(services: Services, task: Task, on_text: OnText | None = None) -> dict[str, Any]:
    """Answer the question of an "ask" job into its finding; the job's result is what `ask --json` prints."""
    with services.database.session() as s:
        finding_id = task.job.payload.get("finding_id")
        finding = findings.get_finding(s, finding_id) if finding_id else findings.find_by_job(s, task.job.id)
    if finding is None:
        raise UserError("no_question", "This job carries no question.", "Ask again.")
    if finding.status == "running":
        try:
            check_question(finding.question)
            Answering(services, task, finding, on_text).run()
        except JobCancelledError:
            _close(services, finding.id, "cancelled")
            raise
        except JobStoppedError:
            raise
        except Exception as error:
            _close(services, finding.id, "failed", describe(error).message)
            raise
    return load_answer(services, finding.id)


def _close(services: Services, finding_id: int, status: str, error: str = "") -> None:
    with suppress(NotFoundError), services.database.session() as s:  # the person may have deleted it
        findings.update_finding(s, finding_id, status=status, error=error)


class Answering:
    """One question being answered; the finding grows with the answer."""

    def __init__(self, services: Services, task: Task, finding: Finding, on_text: OnText | None) -> None:
        self._services = services
        self._task = task
        self._finding = finding
        self._on_text = on_text
        self._shown = finding.answer
        self._shown_at = 0.0

    def run(self) -> None:
        """Recall, rank, answer, verify, store."""
        if not self._services.engine_loaded:
            self._say("Loading the model")
        engine = self._services.engine
        self._say("Looking through every passage")
        started = time.monotonic()
        with self._services.meter.measure() as power:
            context = self._services.contexts.get(self._services, self._finding.archive_id)
            found = self._candidates(context)
            self._say("Weighing the passages")
            result, waited_s = self._answer(context, found, started)
        run = self._describe_run(result, context) | power_values(power)
        stats = result.stats
        if stats.ttft_s is not None:
            run["ttft_s"] = waited_s + stats.ttft_s
        run |= {"fingerprint": engine.fingerprint, "seconds": time.monotonic() - started}
        self._store(result, found, context, run)

    def _candidates(self, context: Context) -> list[PassageText]:
        names, archive_id = self._finding.documents, self._finding.archive_id
        with self._services.database.session() as s:
            only = [row.id for row in find_documents(s, archive_id, names)] if names else None
        found = find_candidates(self._services, context, archive_id, self._finding.question, only)
        self._task.check()
        return found

    def _answer(
        self, context: Context, found: list[PassageText], started: float
    ) -> tuple[AnswerResult, float]:
        from engine.answering import answer, rank_evidence

        engine, question = self._services.engine, self._finding.question
        ranked = rank_evidence(engine, question, as_evidence(found), EVIDENCE)
        self._task.check()
        self._say("Reading the best passages")
        waited_s = time.monotonic() - started
        for event in answer(engine, context.state, question, ranked):
            self._task.check()
            if event.result is not None:
                return event.result, waited_s
            self._show(event.text_so_far)
        raise RuntimeError("the engine ended an answer without a result")

    def _show(self, text: str) -> None:
        """Let the growing answer be seen; a resumed question never shows less than before."""
        if self._on_text is not None:
            self._on_text(text)
        now = time.monotonic()
        if now - self._shown_at < SHOW_S or len(text) <= len(self._shown):
            return
        self._shown, self._shown_at = text, now
        with self._services.database.session() as s:
            findings.update_finding(s, self._finding.id, answer=text)

    def _say(self, message: str) -> None:
        self._task.progress(0, 0, "", message, at_once=True)

    def _describe_run(self, result: AnswerResult, context: Context) -> dict[str, Any]:
        engine, stats = self._services.engine, result.stats
        return {
            "model": self._services.model_name,
            "device": engine.device,
            "backend": engine.backend,
            "ttft_s": None,
            "read_tokens_per_s": stats.read_tokens_per_s,
            "write_tokens_per_s": stats.write_tokens_per_s,
            "spikes_per_channel": stats.spikes_per_channel,
            "silent_share": stats.silent_share,
            "state_bytes": context.state.nbytes,
            "memory_bytes": resident_bytes(),
        }

    def _store(
        self, result: AnswerResult, found: list[PassageText], context: Context, run: dict[str, Any]
    ) -> None:
        by_id = {item.id: item for item in found}
        archive_id, finding_id = self._finding.archive_id, self._finding.id
        with self._services.database.session() as s:
            cited = [_cite(s, quote, by_id[quote.evidence_id]) for quote in result.quotes]
            covered = describe_context(s, archive_id, context.plan, context.state.tokens_read)
        with self._services.database.session() as s:
            findings.set_citations(s, finding_id, cited)
            findings.update_finding(
                s,
                finding_id,
                answer=result.answer,
                status=result.status,
                confidence=result.confidence,
                context=covered,
                run=run,
            )
            keys = {"archive_id": archive_id, "finding_id": finding_id, "job_id": self._task.job.id}
            metrics.add_metric(s, "ask", run, **keys)


def _cite(s: Session, quote: Quote, passage: PassageText) -> CitationData:
    """A quote at its place in the document, checked once more against the stored text."""
    start, end = passage.start + quote.start, passage.start + quote.end
    stored = documents.document_text(s, passage.document_id, start, end)
    verified = quote.verified and bool(quote.quote) and stored == quote.quote
    page = documents.page_at(s, passage.document_id, start).number if stored else passage.page
    place = (passage.document_id, passage.document, page, start, end)
    return CitationData(quote.number, *place, quote.quote, verified, quote.score)


def resident_bytes() -> int:
    """Memory this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)
