"""Documents and findings as JSON and back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from storage.errors import InvalidInputError
from storage.models import Citation, Document, Finding
from storage.passages import CODE_BYTES, list_passages
from storage.records import PassageSpan
from storage.texts import list_pages

DOCUMENT_FIELDS = {
    "name": str, "sha256": str, "media_type": str, "bytes": int, "status": str, "error": str, "hint": str,
    "title": str, "language": str, "tokens": int,
}  # fmt: skip
FINDING_FIELDS = {"question": str, "answer": str, "status": str, "context": dict, "run": dict, "error": str}
CITATION_FIELDS = {"number": int, "document": str, "page": int, "start": int, "end": int, "quote": str}
MOST_NUMBER = 1 << 53
PASSAGE_FIELDS = ("ordinal", "start", "end", "token_start", "token_end")


def document_row(document: Document) -> dict[str, Any]:
    """A document without its text."""
    values = {name: getattr(document, name) for name in DOCUMENT_FIELDS}
    return values | {"in_context": document.position is not None, "warnings": list(document.warnings)}


def text_rows(s: Session, document_id: int) -> dict[str, Any]:
    """A document's pages and passages, recall codes included."""
    pages = [
        {"number": page.number, "text": page.text, "needs_ocr": page.needs_ocr}
        for page in list_pages(s, document_id)
    ]
    passages = [
        {name: getattr(row, name) for name in (*PASSAGE_FIELDS, "heading", "fingerprint")}
        | {"code": base64.b64encode(row.code).decode() if row.code else None}
        for row in list_passages(s, document_id)
    ]
    return {"pages": pages, "passages": passages}


def finding_row(finding: Finding, places: Mapping[int, int]) -> dict[str, Any]:
    """A finding with its citations; `places` tells a document's number in the backup by its id."""
    values = {name: getattr(finding, name) for name in FINDING_FIELDS}
    citations = [
        {name: getattr(citation, name) for name in CITATION_FIELDS}
        | {"verified": citation.verified, "score": citation.score}
        | {"place": places.get(citation.document_id) if citation.document_id is not None else None}
        for citation in finding.citations
    ]
    more = {"confidence": finding.confidence, "documents": list(finding.documents), "citations": citations}
    return values | more | {"created_at": finding.created_at.isoformat()}


def add_finding(s: Session, archive_id: int, row: Any, ids: list[int]) -> None:
    """Store a finding of a backup; `ids` are the documents' new ids by their number in it."""
    values = typed(row, FINDING_FIELDS)
    citations = []
    for given in listed(row, "citations"):
        place = given.get("place")
        known = isinstance(place, int) and 0 <= place < len(ids)
        citation = Citation(**typed(given, CITATION_FIELDS), verified=given.get("verified") is True)
        citation.document_id = ids[place] if known else None
        citation.score = number(given.get("score"))
        citations.append(citation)
    if values["status"] not in ("supported", "partly_supported", "not_found", "failed", "cancelled"):
        values["status"] = "cancelled"
    documents = [str(name) for name in row.get("documents") or ()]
    finding = Finding(archive_id=archive_id, job_id=None, documents=documents, citations=citations, **values)
    finding.confidence, finding.created_at = number(row.get("confidence")), moment(row.get("created_at"))
    finding.finished_at = finding.created_at
    s.add(finding)
    s.flush()


def spans(rows: list[Any]) -> list[PassageSpan]:
    """Passages of a backup."""
    whole = dict.fromkeys(PASSAGE_FIELDS, int)
    return [PassageSpan(**typed(row, whole), heading=str(row.get("heading") or "")) for row in rows]


def code_of(row: dict[str, Any]) -> tuple[str, bytes] | None:
    """The recall code of a passage and the model that made it."""
    fingerprint, code = row.get("fingerprint"), row.get("code")
    if not isinstance(fingerprint, str) or not isinstance(code, str):
        return None
    try:
        raw = base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError):
        return None
    return (fingerprint, raw) if len(raw) == CODE_BYTES else None


def typed(row: Any, fields: Mapping[str, type]) -> dict[str, Any]:
    """The fields of a row, each of its type; InvalidInputError otherwise."""
    if not isinstance(row, dict):
        raise bad_backup("a row is not an object")
    for name, kind in fields.items():
        value = row.get(name)
        fits = isinstance(value, kind)
        if isinstance(value, int) and kind is int:
            fits = not isinstance(value, bool) and abs(value) < MOST_NUMBER
        if not fits:
            raise bad_backup(f"{name} is missing or of the wrong kind")
    return {name: row[name] for name in fields}


def listed(row: Any, name: str) -> list[Any]:
    """A list of objects in a row."""
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise bad_backup(f"{name} is not a list of objects")
    return value


def number(value: Any) -> float | None:
    """A number or none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def moment(value: Any) -> datetime:
    """A time with its zone."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise bad_backup("a time is none") from None
    if found.tzinfo is None:
        raise bad_backup("a time has no zone")
    return found


def bad_backup(why: str) -> InvalidInputError:
    """The file is no backup that can be trusted."""
    hint = "Choose a file that `archives backup` wrote; copy it again if it was cut short."
    return InvalidInputError("bad_backup", f"This is not a whole Engram backup: {why}.", hint)
