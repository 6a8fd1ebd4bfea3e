"""Full-text search over passages: the one place that knows how the database at hand does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from storage.fulltext import postgresql, sqlite
from storage.fulltext.terms import split_query

Row = tuple[int, str, str, str]  # passage id, document title, heading, body


def add(s: Session, rows: Iterable[Row]) -> None:
    """Index passages."""
    _backend(s).add(s, rows)


def remove(s: Session, ids: Select[Any]) -> None:
    """Take the passages selected by `ids` out of the index."""
    _backend(s).remove(s, ids)


def bodies(s: Session, ids: Sequence[int]) -> dict[int, str]:
    """The words of passages, by id."""
    found: dict[int, str] = _backend(s).bodies(s, ids)
    return found


def search(
    s: Session, archive_id: int, query: str, limit: int, document_ids: Sequence[int] | None
) -> list[tuple[int, float]]:
    """(passage id, score) best first; higher is better."""
    terms = split_query(query)
    if limit <= 0 or not (terms.words or terms.grams) or (document_ids is not None and not document_ids):
        return []
    found: list[tuple[int, float]] = _backend(s).search(s, archive_id, terms, limit, document_ids)
    return found


def _backend(s: Session) -> ModuleType:
    return sqlite if s.get_bind().dialect.name == "sqlite" else postgresql
