"""Questions as they are put and as they are shown: checks, the queue, the form of `ask --json`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.errors import UserError
from app.services import Services
from storage import Archive, Document, Finding, Job, NotFoundError, documents, findings, jobs

MAX_QUESTION = 20_000
PRIORITY = 10
RUN_KEYS = (
    "model",
    "device",
    "backend",
    "ttft_s",
    "read_tokens_per_s",
    "write_tokens_per_s",
    "energy_j",
    "power_w",
    "power_source",
    "spikes_per_channel",
    "silent_share",
    "power_kind",
    "power_reason",
    "idle_power_w",
    "device_note",
)
CITATION_KEYS = ("number", "document", "page", "start", "end", "quote", "verified", "score")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in the queue."""

    finding: Finding
    job: Job


def submit(services: Services, archive: Archive, question: str, names: Sequence[str] = ()) -> Asked:
    """Put a question, restricted to the named documents if any, into the queue, or say why not."""
    with services.database.session() as s:
        return put(s, archive.id, question, names)


def put(s: Session, archive_id: int, question: str, names: Sequence[str] = ()) -> Asked:
    """The same within a session."""
    check_question(question)
    chosen = [document.name for document in find_documents(s, archive_id, names)] if names else []
    finding = findings.create_finding(s, archive_id, None, question, chosen)
    job = jobs.enqueue(s, "ask", archive_id, {"finding_id": finding.id}, PRIORITY)
    findings.update_finding(s, finding.id, job_id=job.id)
    return Asked(finding, job)


def check_question(question: str) -> None:
    """Refuse what is no question: nothing at all, or more than anybody asks."""
    if not question.strip():
        raise UserError("empty_question", "The question is empty.", "Type a question.")
    if len(question) > MAX_QUESTION:
        raise UserError(
            "question_too_long",
            f"The question has {len(question):,} characters; at most {MAX_QUESTION:,} can be asked.",
            "Shorten it, or add the long text to the archive and ask about it.",
        )


def find_documents(s: Session, archive_id: int, names: Sequence[str]) -> list[Document]:
    """Documents by name; an unknown name is an error that suggests close ones."""
    try:
        return documents.find_documents(s, archive_id, names)
    except NotFoundError as error:
        there = [document.name for document in documents.list_documents(s, archive_id)]
        unknown = [name for name in names if not any(_same(name, known) for known in there)]
        close = difflib.get_close_matches(unknown[0], there, n=3, cutoff=0.4) if unknown else []
        if not close:
            raise
        meant = " or ".join(map(repr, close))
        raise NotFoundError(error.code, error.message, f"Did you mean {meant}?") from error


def _same(name: str, known: str) -> bool:
    name, known = name.casefold(), known.casefold()
    return name in (known, known.rsplit("/", 1)[-1])


def load_answer(services: Services, finding_id: int) -> dict[str, Any]:
    """A stored finding in the form of `ask --json`."""
    with services.database.session() as s:
        finding = findings.get_finding(s, finding_id)
    return as_json(finding)


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding in the form of `ask --json`."""
    return {
        "question": finding.question,
        "answer": finding.answer,
        "status": finding.status,
        "confidence": finding.confidence,
        "citations": [{key: getattr(cited, key) for key in CITATION_KEYS} for cited in finding.citations],
        "context": finding.context,
        "run": {key: finding.run.get(key) for key in RUN_KEYS},
    }
