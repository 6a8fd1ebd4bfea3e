"""Documents as JSON and back, and the checks of what a backup says."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from storage.errors import InvalidInputError
from storage.models import Document
from storage.passages import CODE_BYTES, list_passages
from storage.recognised import confidences
from storage.records import PassageSpan
from storage.texts import list_pages

DOCUMENT_FIELDS = {
    "name": str, "sha256": str, "media_type": str, "bytes": int, "status": str, "error": str, "hint": str,
    "title": str, "language": str, "tokens": int,
}  # fmt: skip
MOST_NUMBER = 1 << 53
PASSAGE_FIELDS = ("ordinal", "start", "end", "token_start", "token_end")


def document_row(document: Document) -> dict[str, Any]:
    """A document without its text."""
    values = {name: getattr(document, name) for name in DOCUMENT_FIELDS}
    more = {"in_context": document.position is not None, "warnings": list(document.warnings)}
    return values | more | {"created_at": document.created_at.isoformat()}


def text_rows(s: Session, document_id: int) -> dict[str, Any]:
    """A document's pages, with the confidence of those recognised, and passages with their recall codes."""
    sure = confidences(s, document_id)
    pages = [
        {"number": page.number, "text": page.text, "needs_ocr": page.needs_ocr}
        | {"confidence": sure.get(page.number)}
        for page in list_pages(s, document_id)
    ]
    passages = [
        {name: getattr(row, name) for name in (*PASSAGE_FIELDS, "heading", "fingerprint")}
        | {"code": base64.b64encode(row.code).decode() if row.code else None}
        for row in list_passages(s, document_id)
    ]
    return {"pages": pages, "passages": passages}


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
