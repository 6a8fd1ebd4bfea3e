"""Full-text search with SQLite's FTS5: words by Porter stems, letter groups for unspaced scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import islice
from typing import Any

from sqlalchemy import Select, text
from sqlalchemy.orm import Session

from storage.fulltext.terms import QueryTerms, gram_text

_BATCH = 2_000
_WEIGHTS = "1.0, 1.5, 1.0"  # title, heading, body

_SEARCH = """
SELECT f.rowid, -bm25({table}, {weights}) AS score
FROM {table} AS f CROSS JOIN passages AS p ON p.id = f.rowid
WHERE {table} MATCH :query AND p.archive_id = :archive {restriction} ORDER BY score DESC LIMIT :limit
"""
_RESTRICTION = "AND p.document_id IN (SELECT value FROM json_each(:documents))"


def add(s: Session, rows: Iterable[tuple[int, str, str, str]]) -> None:
    connection, rest = s.connection(), iter(rows)
    while some := list(islice(rest, _BATCH)):
        connection.exec_driver_sql(
            "INSERT INTO passages_fts (rowid, title, heading, body) VALUES (?, ?, ?, ?)", some
        )
        grams = [(row[0], *map(gram_text, row[1:])) for row in some]
        grams = [row for row in grams if any(row[1:])]
        if grams:
            connection.exec_driver_sql(
                "INSERT INTO passages_grams (rowid, title, heading, body) VALUES (?, ?, ?, ?)", grams
            )


def remove(s: Session, ids: Select[Any]) -> None:
    listed = json.dumps(list(s.scalars(ids)))
    for table in ("passages_fts", "passages_grams"):
        statement = f"DELETE FROM {table} WHERE rowid IN (SELECT value FROM json_each(:ids))"
        s.execute(text(statement), {"ids": listed})


def bodies(s: Session, ids: Sequence[int]) -> dict[int, str]:
    statement = "SELECT rowid, body FROM passages_fts WHERE rowid IN (SELECT value FROM json_each(:ids))"
    return {row[0]: row[1] for row in s.execute(text(statement), {"ids": json.dumps(list(ids))})}


def search(
    s: Session,
    archive_id: int,
    terms: QueryTerms,
    limit: int,
    document_ids: Sequence[int] | None,
    *,
    titles: bool = True,
) -> list[tuple[int, float]]:
    scores: dict[int, float] = {}
    listed = json.dumps([int(key) for key in document_ids or ()])
    values = {"archive": archive_id, "limit": limit, "documents": listed}
    for table, wanted in (("passages_fts", terms.words), ("passages_grams", terms.grams + terms.words)):
        if not wanted:
            continue
        restriction = "" if document_ids is None else _RESTRICTION
        statement = _SEARCH.format(table=table, weights=_WEIGHTS, restriction=restriction)
        query = " OR ".join(map(_quote, wanted))
        query = query if titles else f"{{heading body}} : ({query})"
        for passage_id, score in s.execute(text(statement), values | {"query": query}):
            scores[passage_id] = scores.get(passage_id, 0.0) + score
    return nlargest(limit, scores.items(), key=lambda item: (item[1], -item[0]))


def holding(s: Session, archive_id: int, phrase: str, most: int) -> list[int]:
    """At most `most` documents in which the phrase stands."""
    statement = text(
        "SELECT DISTINCT p.document_id FROM passages_fts AS f CROSS JOIN passages AS p ON p.id = f.rowid"
        " WHERE passages_fts MATCH :query AND p.archive_id = :archive LIMIT :most"
    )
    values = {"query": _quote(phrase), "archive": archive_id, "most": most}
    return [row[0] for row in s.execute(statement, values)]


def _quote(term: str) -> str:
    """A string is a phrase to FTS5 and never syntax; a star after it makes the last word a prefix."""
    star = "*" if term.endswith("*") else ""
    return '"' + term.removesuffix("*").replace('"', '""') + '"' + star
