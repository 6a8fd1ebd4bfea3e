"""Full-text search over passages: the one place that knows how the database at hand does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from storage.fulltext import postgresql, sqlite
from storage.fulltext.named import DEPTH, Found, fuse_named, named_documents, rest_of
from storage.fulltext.terms import QueryTerms, split_query
from storage.models import Document

EVERY = 1_000_000_000
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
    backend = _backend(s)
    found: Found = backend.search(
        s, archive_id, terms, max(limit, DEPTH) if terms.names else limit, document_ids
    )
    if not terms.names:
        return found
    within = _in_named_documents(s, archive_id, terms, document_ids)
    return fuse_named(found, within, limit) if within else found[:limit]


def holders(
    s: Session, archive_id: int, query: str, document_ids: Sequence[int] | None
) -> dict[str, dict[int, float]]:
    """For every term of `query` the passages that hold it in text or heading, all of them, with scores."""
    terms = split_query(query)
    single = [QueryTerms((word,), ()) for word in terms.words] + [QueryTerms((), (g,)) for g in terms.grams]
    if document_ids is not None and not document_ids:
        return {}
    found = {}
    for term in single:
        rows = _backend(s).search(s, archive_id, term, EVERY, document_ids, titles=False)
        found[(term.words or term.grams)[0]] = dict(rows)
    return found


def _in_named_documents(
    s: Session, archive_id: int, terms: QueryTerms, document_ids: Sequence[int] | None
) -> Found:
    """The passages of the documents that the question names, by the rest of its words."""
    backend = _backend(s)
    count = s.scalar(select(func.count(Document.id)).where(Document.archive_id == archive_id)) or 0

    def holding(phrase: str, most: int) -> Sequence[int]:
        found: Sequence[int] = backend.holding(s, archive_id, phrase, most + 1)
        return found

    documents, telling = named_documents(terms.names, count, holding)
    if document_ids is not None:
        documents = sorted(set(documents) & set(document_ids))
    rest = rest_of(terms, telling)
    if not documents or rest is None:
        return []
    within: Found = backend.search(s, archive_id, rest, DEPTH, documents)
    return within


def _backend(s: Session) -> ModuleType:
    return sqlite if s.get_bind().dialect.name == "sqlite" else postgresql
