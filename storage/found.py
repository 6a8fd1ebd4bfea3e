"""Every passage that a search for all there is has found, in the order of relevance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, ForeignKey, Index, Select, and_, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.models import Base, Document, Passage
from storage.passages import get_passages, passage_places
from storage.records import PassageText

ORDERS = ("relevance", "document")


class FoundPassage(Base):
    """A passage that was found: how many of the words it holds, their share by rarity, its distance."""

    __tablename__ = "found_passages"
    __table_args__ = (
        Index("ix_found_passages_order", "finding_id", "rank"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id", ondelete="CASCADE"))
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), index=True)
    ordinal: Mapped[int]
    start: Mapped[int] = mapped_column(BigInteger)
    rank: Mapped[int]
    words: Mapped[int]
    share: Mapped[float]
    distance: Mapped[int | None]


@dataclass(frozen=True, slots=True)
class FoundData:
    """What is to be stored of a passage that was found; `distance` is None unless its code is near."""

    passage_id: int
    words: int
    share: float
    distance: int | None


@dataclass(frozen=True, slots=True)
class FoundText:
    """A passage that was found, with its words and its place; `rank` counts from 1."""

    rank: int
    words: int
    share: float
    distance: int | None
    passage: PassageText


def set_found(s: Session, finding_id: int, rows: Sequence[FoundData]) -> None:
    """Replace what was found, the most relevant first."""
    table = FoundPassage.__table__
    s.execute(delete(FoundPassage).where(FoundPassage.finding_id == finding_id))
    places = passage_places(s, [row.passage_id for row in rows])
    values = [
        {"finding_id": finding_id, **places[row.passage_id], "rank": rank}
        | {"words": row.words, "share": row.share, "distance": row.distance}
        for rank, row in enumerate(rows, start=1)
        if row.passage_id in places
    ]
    if values:
        s.connection().execute(table.insert(), values)  # type: ignore[attr-defined]


def list_found(
    s: Session,
    finding_id: int,
    offset: int = 0,
    limit: int = 20,
    order: str = "relevance",
    document_id: int | None = None,
) -> list[FoundText]:
    """A page of what was found, by relevance or in the order of the documents, of one document if named."""
    query = _of(select(FoundPassage, Passage.id), finding_id, document_id)
    by_document = (Document.position, Document.id, Passage.ordinal)
    query = query.order_by(*(by_document if order == "document" else (FoundPassage.rank,)))
    rows = s.execute(query.offset(offset).limit(limit)).all()
    texts = {item.id: item for item in get_passages(s, [key for _, key in rows])}
    return [FoundText(row.rank, row.words, row.share, row.distance, texts[key]) for row, key in rows]


def count_found(s: Session, finding_id: int) -> list[tuple[int, str, int]]:
    """(document id, name, passages) of every document with something found, in the archive's order."""
    query = _of(select(Document.id, Document.name, func.count(FoundPassage.id)), finding_id, None)
    query = query.group_by(Document.id, Document.name, Document.position)
    return [(row[0], row[1], row[2]) for row in s.execute(query.order_by(Document.position, Document.id))]


def _of(query: Select, finding_id: int, document_id: int | None) -> Select:
    """Joined by place: a passage that is no longer where it was has gone with its text."""
    same = (Passage.ordinal == FoundPassage.ordinal, Passage.start == FoundPassage.start)
    query = query.select_from(FoundPassage).join(Document, Document.id == FoundPassage.document_id)
    query = query.join(Passage, and_(Passage.document_id == FoundPassage.document_id, *same))
    query = query.where(FoundPassage.finding_id == finding_id)
    return query if document_id is None else query.where(FoundPassage.document_id == document_id)
