"""Which pages of a document hold recognised text, and how sure the recognition was of it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from storage.settings import delete_setting, get_setting, set_setting


def note(s: Session, document_id: int, confidences: Mapping[int, float]) -> None:
    """Write down each recognised page's confidence (0 to 1) by its number, in place of what was known."""
    delete_setting(s, _key(document_id))
    if confidences:
        set_setting(s, _key(document_id), {str(page): value for page, value in confidences.items()})


def confidences(s: Session, document_id: int) -> dict[int, float]:
    """How sure the recognition of each page was; pages whose text the file itself holds are not in it."""
    noted = get_setting(s, _key(document_id), {})
    return {int(page): float(value) for page, value in noted.items()}


def confidence(s: Session, document_id: int, page: int) -> float | None:
    """That of one page; None for a page whose text the file itself holds."""
    return confidences(s, document_id).get(page)


def _key(document_id: int) -> str:
    return f"recognised:{document_id}"
