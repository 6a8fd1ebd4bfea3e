"""Which pages of a document hold recognised text, and how sure the recognition was of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session

from storage.models import Citation
from storage.settings import delete_setting, get_setting, list_settings, set_setting

_PREFIX = "recognised:"


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


def of_documents(s: Session) -> dict[int, dict[int, float]]:
    """The pages of every document that holds recognised text, with their confidence, by document id."""
    return {
        int(key.removeprefix(_PREFIX)): {int(page): float(value) for page, value in noted.items()}
        for key, noted in list_settings(s, _PREFIX).items()
    }


def of_citations(s: Session, citations: Iterable[Citation]) -> dict[int, float]:
    """How sure the recognition was of each citation's page, by the citation's number; others are left out."""
    known: dict[int, dict[int, float]] = {}
    found = {}
    for cited in citations:
        if cited.document_id is None:
            continue
        if cited.document_id not in known:
            known[cited.document_id] = confidences(s, cited.document_id)
        if (value := known[cited.document_id].get(cited.page)) is not None:
            found[cited.number] = value
    return found


def _key(document_id: int) -> str:
    return f"{_PREFIX}{document_id}"
