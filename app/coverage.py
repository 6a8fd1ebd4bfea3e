"""What an answer stands on: how much of the archive the state has read, and what it has not and why."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.chain import Plan
from storage import documents

NOT_YET = "not read yet"
READABLE = ("parsed", "reading", "ready")


def describe_context(s: Session, archive_id: int, plan: Plan, tokens: int) -> dict[str, Any]:
    """The `context` of an answer that starts from a state of `tokens` tokens read under `plan`."""
    whole, touched = plan.whole(tokens), plan.touched(tokens)
    within = {entry.document_id for entry in plan.entries[:whole]}
    read = tokens - touched  # a separator stands before each document
    covered = documents.coverage(s, archive_id)
    rows = documents.list_documents(s, archive_id)
    partly = plan.entries[whole].document_id if touched > whole else None
    not_read = [
        {"document": row.name, "reason": "read in part" if row.id == partly else NOT_YET}
        for row in rows
        if row.status in READABLE and row.id not in within
    ]
    # Of documents with text storage tells how far the read job is; here the saved state alone counts.
    elsewhere = {row.name for row in rows if row.status in ("parsed", "reading")}
    for name, reason in covered.not_read:
        if name in elsewhere:
            elsewhere.remove(name)
        else:
            not_read.append({"document": name, "reason": reason})
    return {
        "documents": len(rows),
        "tokens_read": read,
        "tokens_total": sum(row.tokens for row in rows),
        "not_read": not_read,
    }
