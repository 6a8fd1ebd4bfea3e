"""What is asked: of which kind, of which documents, under which earlier answer, and how it is understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from storage import Finding

ANSWER, EVERYTHING, COMPARISON, SUMMARY = "answer", "everything", "comparison", "summary"
KINDS = (ANSWER, EVERYTHING, COMPARISON, SUMMARY)


@dataclass(frozen=True, slots=True)
class Request:
    """A question before it is put.

    `documents`, `tags` and `fields` restrict it (nothing chosen: the whole archive); `follows` is the finding
    it is asked under, `understood` the question completed from there, `again` the finding it repeats.
    """

    question: str
    kind: str = ANSWER
    documents: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    follows: int | None = None
    understood: str = ""
    again: int | None = None

    def details(self) -> dict[str, Any]:
        """What is kept with the finding beside the question itself."""
        kept = {"kind": self.kind, "understood": self.understood, "again": self.again}
        return {
            **kept,
            "documents": list(self.documents),
            "tags": list(self.tags),
            "fields": list(self.fields),
        }


def request_of(finding: Finding) -> Request:
    """The request that made a finding; one of an older version is a plain question."""
    kept: Mapping[str, Any] = finding.details or {}
    return Request(
        finding.question,
        str(kept.get("kind") or ANSWER),
        tuple(kept.get("documents", finding.documents)),
        tuple(kept.get("tags") or ()),
        tuple(kept.get("fields") or ()),
        finding.parent_id,
        str(kept.get("understood") or ""),
        kept.get("again"),
    )


def meant(finding: Finding) -> str:
    """The question as it is searched for and answered: completed from the thread if it is a follow-up."""
    return request_of(finding).understood or finding.question


def titled(request: Request, archive: str) -> Request:
    """A request for a summary, which has no question, with words to be known by."""
    chosen = [*request.documents, *(f"tag {tag}" for tag in request.tags), *request.fields]
    named = ", ".join(chosen[:3]) + (f" and {len(chosen) - 3} more" if len(chosen) > 3 else "")
    return replace(request, question=f"Summary of {named or archive}")
