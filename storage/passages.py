"""Passages: the spans recall works on, their codes, their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from storage import fulltext
from storage.errors import InvalidInputError
from storage.models import Document, Page, Passage
from storage.records import PassageSpan, PassageText

CODE_BYTES = 64
_ROWS = 5_000  # rows or bound ids a statement; SQLite builds allow 32,766 parameters or more


def list_passages(s: Session, document_id: int) -> list[Passage]:
    """A document's passages in order."""
    return list(
        s.scalars(select(Passage).where(Passage.document_id == document_id).order_by(Passage.ordinal))
    )


def insert_passages(s: Session, document: Document, text: str, spans: Sequence[PassageSpan]) -> None:
    """Store a document's passages and index their words."""
    shared = {
        "archive_id": document.archive_id,
        "document_id": document.id,
        "code": None,
        "fingerprint": None,
    }
    rows = []
    for span in spans:
        if not 0 <= span.start < span.end <= len(text):
            raise InvalidInputError(
                "bad_passage", f"Passage {span.ordinal} lies outside the text of {document.name}."
            )
        rows.append(
            shared
            | {"ordinal": span.ordinal, "start": span.start, "end": span.end, "heading": span.heading}
            | {"token_start": span.token_start, "token_end": span.token_end}
        )
    table = Passage.__table__
    s.execute(table.insert(), rows)  # type: ignore[attr-defined]
    query = select(Passage.id, Passage.start, Passage.end, Passage.heading).where(
        Passage.document_id == document.id
    )
    found = s.execute(query.order_by(Passage.ordinal))
    title = document.title or document.name
    fulltext.add(s, ((row.id, title, row.heading, text[row.start : row.end]) for row in found))


def set_codes(s: Session, fingerprint: str, codes: Mapping[int, bytes]) -> None:
    """Store recall codes by passage id, made by the model of that fingerprint."""
    if any(len(code) != CODE_BYTES for code in codes.values()):
        raise InvalidInputError("bad_code", f"A recall code has {CODE_BYTES} bytes.")
    if not codes:
        return
    table = Passage.__table__
    statement = update(table).where(table.c.id == bindparam("passage"))  # type: ignore[arg-type]
    statement = statement.values(code=bindparam("new_code"), fingerprint=fingerprint)
    s.connection().execute(statement, [{"passage": key, "new_code": code} for key, code in codes.items()])


def clear_codes(s: Session, archive_id: int) -> None:
    """Forget an archive's recall codes, whichever model made them."""
    where = (Passage.archive_id == archive_id, Passage.code.is_not(None))
    s.execute(update(Passage).where(*where).values(code=None, fingerprint=None))


def first_uncoded(s: Session, archive_id: int, fingerprint: str) -> tuple[int, int] | None:
    """Document id and end in tokens of the first passage of the context without a code of this model."""
    query = select(Passage.document_id, Passage.token_end).join(Document, Document.id == Passage.document_id)
    other = or_(Passage.fingerprint.is_(None), Passage.fingerprint != fingerprint)
    query = query.where(Passage.archive_id == archive_id, Document.position.is_not(None), other)
    row = s.execute(query.order_by(Document.position, Passage.ordinal).limit(1)).first()
    return None if row is None else (row[0], row[1])


def load_codes(
    s: Session, archive_id: int, fingerprint: str, document_ids: Sequence[int] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Passage ids [N] and recall codes [N, 64] that this model made, in the order of ids."""
    query = select(Passage.id, Passage.code).where(
        Passage.archive_id == archive_id, Passage.fingerprint == fingerprint, Passage.code.is_not(None)
    )
    rows: list[tuple[int, bytes]] = []
    if document_ids is None:
        rows = [tuple(row) for row in s.execute(query)]  # type: ignore[misc]
    else:
        for some in _chunks(sorted(set(document_ids))):
            rows.extend(tuple(row) for row in s.execute(query.where(Passage.document_id.in_(some))))  # type: ignore[misc]
    rows.sort()
    ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    codes = np.frombuffer(b"".join(row[1] for row in rows), np.uint8).reshape(-1, CODE_BYTES)
    return ids, codes


def passage_documents(s: Session, archive_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ids [N] of an archive's passages, document by document in order, and the document [N] of each."""
    query = select(Passage.id, Passage.document_id).where(Passage.archive_id == archive_id)
    rows = s.execute(query.order_by(Passage.document_id, Passage.ordinal))
    pairs = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def get_passages(s: Session, ids: Sequence[int]) -> list[PassageText]:
    """Passages with their words, document and page, in the order of `ids`; ids that are gone are left out."""
    page = (
        select(Page.number)
        .where(Page.document_id == Passage.document_id, Page.start <= Passage.start)
        .order_by(Page.start.desc(), Page.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    place = (
        Passage.id,
        Passage.document_id,
        Document.name.label("document"),
        Document.title,
        Passage.heading,
    )
    query = select(*place, page.label("page"), Passage.start, Passage.end)
    query = query.join(Document, Document.id == Passage.document_id)
    wanted = [int(key) for key in ids]
    found: dict[int, PassageText] = {}
    for some in _chunks(sorted(set(wanted))):
        bodies = fulltext.bodies(s, some)
        for row in s.execute(query.where(Passage.id.in_(some))):
            found[row.id] = PassageText(**row._mapping, text=bodies[row.id])
    return [found[key] for key in wanted if key in found]


def passage_places(s: Session, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Document, ordinal and first character of passages, by id."""
    query = select(Passage.id, Passage.document_id, Passage.ordinal, Passage.start)
    found = {}
    for some in _chunks(sorted(set(map(int, ids)))):
        for row in s.execute(query.where(Passage.id.in_(some))):
            place = {"document_id": row.document_id, "ordinal": row.ordinal, "start": row.start}
            found[row.id] = place
    return found


def search_text(
    s: Session, archive_id: int, query: str, limit: int = 50, document_ids: Sequence[int] | None = None
) -> list[tuple[int, float]]:
    """Passages that share words with `query`, best first, as (passage id, BM25 score; higher is better).

    Any text will do as a query: it is never taken as search syntax.
    """
    return fulltext.search(s, archive_id, query, limit, document_ids)


def holders(
    s: Session, archive_id: int, query: str, document_ids: Sequence[int] | None = None
) -> dict[str, dict[int, float]]:
    """For every word of `query` worth searching for all passages that hold it: {word: {passage: score}}."""
    return fulltext.holders(s, archive_id, query, document_ids)


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(ids)
    while some := list(islice(rest, _ROWS)):
        yield some
