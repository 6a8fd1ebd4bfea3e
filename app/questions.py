"""Questions as they are put and as they are shown: checks, the queue, the form of `ask --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from app.errors import UserError
from app.request import COMPARISON, SUMMARY, Request, meant, request_of
from app.scope import find_scope
from app.services import Services
from app.understanding import understand
from storage import Archive, Citation, Finding, Job, findings, jobs, recognised

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
CONTEXT_KEYS = ("documents", "tokens_read", "tokens_total", "not_read")
PART_KEYS = ("closest", "sides", "pairs", "only", "found", "parts", "terms")  # what a kind of question adds
JOBS = {SUMMARY: "summary"}  # a kind of job of its own, since it may take long; the others are quick
CITATION_KEYS = ("number", "document", "page", "start", "end", "quote", "verified", "score")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in the queue."""

    finding: Finding
    job: Job


def submit(services: Services, archive: Archive, request: Request | str) -> Asked:
    """Put a request, or a plain question, into the queue, or say why not."""
    with services.database.session() as s:
        return put(s, archive.id, request)


def put(s: Session, archive_id: int, request: Request | str) -> Asked:
    """The same within a session."""
    request = Request(request) if isinstance(request, str) else request
    check_question(request.question)
    request = _completed(s, archive_id, request)
    scope = find_scope(s, archive_id, request)
    if request.kind == COMPARISON and len(scope or ()) != 2:
        hint = "Choose two documents."
        raise UserError("compare_two", f"A comparison takes two documents, not {len(scope or ())}.", hint)
    names = [] if scope is None else [document.name for document in scope]
    finding = findings.create_finding(
        s, archive_id, None, request.question, names, request.follows, request.details()
    )
    payload: dict[str, Any] = {"finding_id": finding.id}
    payload |= {} if scope is None else {"document_ids": [document.id for document in scope]}
    job = jobs.enqueue(s, JOBS.get(request.kind, "ask"), archive_id, payload, PRIORITY)
    findings.update_finding(s, finding.id, job_id=job.id)
    return Asked(finding, job)


def _completed(s: Session, archive_id: int, request: Request) -> Request:
    """A follow-up with what it is understood as; the person's own words for that stand."""
    if request.follows is None:
        return request
    parent = findings.get_finding(s, request.follows)
    if parent.archive_id != archive_id:
        raise UserError(
            "other_archive",
            f"Finding {parent.id} belongs to another archive.",
            "Follow up on a finding of this archive.",
        )
    words = request.understood.strip() or understand(request.question, meant(parent), parent.answer)
    check_question(words)
    return replace(request, understood=" ".join(words.split()))


def again(s: Session, finding: Finding) -> Request:
    """The request of a finding once more; both findings are kept."""
    return replace(request_of(findings.get_finding(s, finding.id)), again=finding.id)


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


def load_answer(services: Services, finding_id: int) -> dict[str, Any]:
    """A stored finding in the form of `ask --json`."""
    with services.database.session() as s:
        finding = findings.get_finding(s, finding_id)
        return as_json(finding, recognised.of_citations(s, finding.citations))


def as_json(finding: Finding, sure: Mapping[int, float] | None = None) -> dict[str, Any]:
    """A finding in the form of `ask --json`; `sure`: confidence of text recognition by citation number."""
    request, more = request_of(finding), finding.details or {}
    value = {
        "question": finding.question,
        "answer": finding.answer,
        "status": finding.status,
        "confidence": finding.confidence,
        "citations": [_citation(cited, sure or {}) for cited in finding.citations],
        "context": {key: finding.context[key] for key in CONTEXT_KEYS if key in finding.context},
        "run": {key: finding.run.get(key) for key in RUN_KEYS},
        "asked": {
            "finding": finding.id,
            "kind": request.kind,
            "follows": request.follows,
            "understood": request.understood or finding.question,
            "documents": list(finding.documents),
            "tags": list(request.tags),
            "fields": list(request.fields),
        },
    }
    return value | {key: more[key] for key in PART_KEYS if key in more}


def _citation(cited: Citation, sure: Mapping[int, float]) -> dict[str, Any]:
    """A citation; text that was recognised in an image says so, with the recognition's confidence."""
    known = {key: getattr(cited, key) for key in CITATION_KEYS}
    known["recognised"] = cited.number in sure
    return known | {"recognised_confidence": sure.get(cited.number)}
