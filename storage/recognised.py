"""Which pages of a document hold recognised text, and how sure the recognition was of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session

from storage.models import Citation
from storage.settings import delete_setting, get_setting, set_setting


def note(s: Session, document_id: int, confidences: Mapping[int, float]) -> None:
    """Write down each recognised page's confidence (0 to 1) by its number, in place of what was known."""
    delete_setting(s, _key(document_id))
    if confidences:
        set_setting(s, _key(document_id), {str(page): value for page, value in confidences.items()})


def confidence(s: Session, document_id: int, page: int) -> float | None:
    """How sure the recognition of a page was; None for a page whose text the file itself holds."""
    value = (get_setting(s, _key(document_id)) or {}).get(str(page))
    return None if value is None else float(value)


def of_citations(s: Session, citations: Iterable[Citation]) -> dict[int, float]:
    """How sure the recognition was of each citation's page, by the citation's number; others are left out."""
    known: dict[int, dict[str, float]] = {}
    found = {}
    for cited in citations:
        if cited.document_id is None:
            continue
        if cited.document_id not in known:
            known[cited.document_id] = get_setting(s, _key(cited.document_id)) or {}
        if (value := known[cited.document_id].get(str(cited.page))) is not None:
            found[cited.number] = float(value)
    return found


def _key(document_id: int) -> str:
    return f"recognised:{document_id}"
