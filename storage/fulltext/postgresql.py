"""Full-text search with PostgreSQL's tsvector: English stems, letter groups for unspaced scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, text
from sqlalchemy.dialects.postgresql import ARRAY, INTEGER
from sqlalchemy.orm import Session
from sqlalchemy.sql import column, table

from storage.fulltext.terms import QueryTerms, gram_text, plain_words

_BATCH = 2_000
_TABLE = table("passages_search", column("passage_id"), column("body"))
_INSERT = text(
    "INSERT INTO passages_search (passage_id, body, words) VALUES (:id, :text,"
    " setweight(to_tsvector('english', :title), 'C') || setweight(to_tsvector('english', :heading), 'B')"
    " || setweight(to_tsvector('english', :body), 'C') || setweight(to_tsvector('simple', :grams), 'C'))"
)


def add(s: Session, rows: Iterable[tuple[int, str, str, str]]) -> None:
    rest = iter(rows)
    while some := list(islice(rest, _BATCH)):
        s.execute(_INSERT, [_values(*row) for row in some])


def remove(s: Session, ids: Select[Any]) -> None:
    s.execute(delete(_TABLE).where(_TABLE.c.passage_id.in_(ids)))


def bodies(s: Session, ids: Sequence[int]) -> dict[int, str]:
    query = select(_TABLE.c.passage_id, _TABLE.c.body).where(_TABLE.c.passage_id.in_(ids))
    return {row[0]: row[1] for row in s.execute(query)}


def search(
    s: Session,
    archive_id: int,
    terms: QueryTerms,
    limit: int,
    document_ids: Sequence[int] | None,
    *,
    titles: bool = True,  # this index does not tell a title's words from the text's: they always count
) -> list[tuple[int, float]]:
    words = [f"phraseto_tsquery('english', :t{number})" for number in range(len(terms.words))]
    grams = [f"to_tsquery('simple', :t{number + len(words)})" for number in range(len(terms.grams))]
    query = " || ".join(words + grams)
    restriction = "" if document_ids is None else "AND p.document_id = ANY(:documents)"
    statement = text(
        f"WITH q AS (SELECT {query} AS terms) SELECT p.id, ts_rank(f.words, q.terms, 1) AS score"
        " FROM passages_search AS f JOIN passages AS p ON p.id = f.passage_id CROSS JOIN q"
        f" WHERE f.words @@ q.terms AND p.archive_id = :archive {restriction}"
        " ORDER BY score DESC, p.id LIMIT :limit"
    )
    wanted = [*map(plain_words, terms.words), *(gram.replace("*", ":*") for gram in terms.grams)]
    values: dict[str, object] = {f"t{number}": term for number, term in enumerate(wanted)}
    values |= {"archive": archive_id, "limit": limit}
    if document_ids is not None:
        statement = statement.bindparams(bindparam("documents", type_=ARRAY(INTEGER)))
        values["documents"] = [int(key) for key in document_ids]
    return [(row[0], float(row[1])) for row in s.execute(statement, values)]


def holding(s: Session, archive_id: int, phrase: str, most: int) -> list[int]:
    statement = text(
        "SELECT DISTINCT p.document_id FROM passages_search AS f JOIN passages AS p ON p.id = f.passage_id"
        " WHERE f.words @@ phraseto_tsquery('english', :query) AND p.archive_id = :archive LIMIT :most"
    )
    values = {"query": plain_words(phrase), "archive": archive_id, "most": most}
    return [row[0] for row in s.execute(statement, values)]


def _values(key: int, title: str, heading: str, body: str) -> dict[str, object]:
    plain = {"title": plain_words(title), "heading": plain_words(heading), "body": plain_words(body)}
    return {"id": key, "text": body, "grams": gram_text(f"{title} {heading} {body}"), **plain}
