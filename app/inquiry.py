"""What every kind of question has in common while it is worked on: its scope, its words, how it is stored."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.coverage import describe_context
from app.recalling import Context
from app.request import meant, request_of
from app.scope import find_scope
from app.services import Services
from app.task import Task
from storage import CitationData, Document, Finding, PassageText, documents, findings, metrics

SHOW_S = 0.3
OnText = Callable[[str], None]


class Inquiry(ABC):
    """A finding being worked on; it grows with the answer."""

    def __init__(self, services: Services, task: Task, finding: Finding, on_text: OnText | None) -> None:
        self.services = services
        self.task = task
        self.finding = finding
        self.request = request_of(finding)
        self.question = meant(finding)
        self._on_text = on_text
        self._shown = finding.answer
        self._shown_at = 0.0
        self._began_at = time.monotonic()

    @abstractmethod
    def run(self) -> None:
        """Work it out and store it."""

    def say(self, message: str) -> None:
        """What goes on, for the page."""
        self.task.progress(0, 0, "", message, at_once=True)

    def load_model(self) -> None:
        """Load it now, visibly, if it is not in memory."""
        if not self.services.engine_loaded:
            self.say("Loading the model")
        _ = self.services.engine

    def show(self, text: str) -> None:
        """Let the growing answer be seen; a resumed question never shows less than before."""
        if self._on_text is not None:
            self._on_text(text)
        now = time.monotonic()
        if now - self._shown_at < SHOW_S or len(text) <= len(self._shown):
            return
        self._shown, self._shown_at = text, now
        with self.services.database.session() as s:
            findings.update_finding(s, self.finding.id, answer=text)

    def scope(self) -> list[int] | None:
        """Ids of the documents it is restricted to, as they were when it was asked; None: all."""
        ids = self.task.job.payload.get("document_ids")
        if ids is not None:
            return [int(key) for key in ids]
        with self.services.database.session() as s:
            found = find_scope(s, self.finding.archive_id, self.request)
        return None if found is None else [document.id for document in found]

    def documents(self) -> list[Document]:
        """The documents with text that it is put to, in the order of the context."""
        only = self.scope()
        with self.services.database.session() as s:
            rows = documents.reading_order(s, self.finding.archive_id)
        return rows if only is None else [row for row in rows if row.id in set(only)]

    def cited_before(self) -> list[int]:
        """The documents that the answer above this question cites."""
        if self.request.follows is None:
            return []
        with self.services.database.session() as s:
            above = findings.thread_of(s, self.finding)[-1:]
        cited = [item.document_id for finding in above for item in finding.citations]
        return sorted({key for key in cited if key is not None})

    def run_values(self, context: Context | None) -> dict[str, Any]:
        """What it ran on."""
        engine = self.services.engine
        unknown = ("ttft_s", "read_tokens_per_s", "write_tokens_per_s", "spikes_per_channel", "silent_share")
        return {
            "model": self.services.model_name,
            "device": engine.device,
            "backend": engine.backend,
            **dict.fromkeys(unknown),
            "state_bytes": context.state.nbytes if context else None,
            "memory_bytes": resident_bytes(),
            "fingerprint": engine.fingerprint,
            "seconds": time.monotonic() - self._began_at,
        }

    def store(
        self,
        context: Context,
        answer: str,
        status: str,
        confidence: float | None,
        cited: Sequence[CitationData],
        run: dict[str, Any],
        **details: Any,
    ) -> None:
        """Write the end down: answer, citations, coverage, cost, and what this kind of question adds."""
        archive_id, finding_id = self.finding.archive_id, self.finding.id
        with self.services.database.session() as s:
            covered = describe_context(s, archive_id, context.plan, context.state.tokens_read)
        with self.services.database.session() as s:
            findings.set_citations(s, finding_id, cited)
            kept = dict(findings.get_finding(s, finding_id).details) | details
            ended = {"answer": answer, "status": status, "confidence": confidence, "details": kept}
            findings.update_finding(s, finding_id, **ended, context=covered, run=run)
            keys = {"archive_id": archive_id, "finding_id": finding_id, "job_id": self.task.job.id}
            metrics.add_metric(s, "ask", run, **keys)


def cite(
    s: Session, number: int, passage: PassageText, start: int, end: int, score: float | None = None
) -> CitationData:
    """Characters [start, end) of a passage as a citation, checked against the document's stored text."""
    return cite_quote(s, number, passage, start, end, passage.text[start:end], score)


def cite_quote(
    s: Session, number: int, passage: PassageText, start: int, end: int, quote: str, score: float | None
) -> CitationData:
    """The same for a quote that was copied elsewhere and may differ: then it is not verified."""
    first, last = passage.start + start, passage.start + end
    stored = documents.document_text(s, passage.document_id, first, last)
    verified = bool(quote) and stored == quote
    page = documents.page_at(s, passage.document_id, first).number if stored else passage.page
    place = (passage.document_id, passage.document, page, first, last)
    return CitationData(number, *place, quote, verified, score)


def resident_bytes() -> int:
    """Memory this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)
