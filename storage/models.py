"""The tables. Behaviour lives in the modules named after them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from storage.columns import UtcDateTime, utc_now


class Base(DeclarativeBase):
    """Common mapping of Python types to columns."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[int]: JSON,
        str: Text,
        bytes: LargeBinary,
    }


def _archive_key(**options: Any) -> Mapped[int]:
    return mapped_column(ForeignKey("archives.id", ondelete="CASCADE"), index=True, **options)


class Archive(Base):
    """A collection that is read as one context."""

    __tablename__ = "archives"
    __table_args__ = (
        {"sqlite_autoincrement": True},
    )  # an id is never reused: state folders are named after it

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    description: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Document(Base):
    """One file of an archive, and how far it has come."""

    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("archive_id", "sha256"),
        Index("ix_documents_order", "archive_id", "position"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"))
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    media_type: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    error: Mapped[str] = mapped_column(default="")
    hint: Mapped[str] = mapped_column(default="")
    title: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(default="")
    pages: Mapped[int] = mapped_column(default=0)
    characters: Mapped[int] = mapped_column(BigInteger, default=0)
    tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    position: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    read_at: Mapped[datetime | None]
    warnings: Mapped[list[str]] = mapped_column(default=list)


class Page(Base):
    """A page's text; the document's text is its pages joined."""

    __tablename__ = "pages"
    __table_args__ = (
        Index("ix_pages_span", "document_id", "start", "number"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    number: Mapped[int]
    start: Mapped[int] = mapped_column(BigInteger)
    end: Mapped[int] = mapped_column(BigInteger)
    needs_ocr: Mapped[bool] = mapped_column(default=False)
    text: Mapped[str]  # last, so that SQLite reads the columns before it without touching long texts


class Passage(Base):
    """About 200 tokens of a document and the recall code they left."""

    __tablename__ = "passages"
    __table_args__ = (
        Index("ix_passages_order", "document_id", "ordinal"),
        Index("ix_passages_archive", "archive_id", "fingerprint"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"))
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    start: Mapped[int] = mapped_column(BigInteger)
    end: Mapped[int] = mapped_column(BigInteger)
    token_start: Mapped[int] = mapped_column(BigInteger)
    token_end: Mapped[int] = mapped_column(BigInteger)
    heading: Mapped[str] = mapped_column(default="")
    code: Mapped[bytes | None]
    fingerprint: Mapped[str | None]


class Checkpoint(Base):
    """A saved reading state: which model, after which documents, in which file."""

    __tablename__ = "checkpoints"
    __table_args__ = (
        Index("ix_checkpoints_ladder", "archive_id", "fingerprint", "tokens"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"))
    fingerprint: Mapped[str]
    chain: Mapped[str]
    documents: Mapped[int]
    tokens: Mapped[int] = mapped_column(BigInteger)
    file: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Job(Base):
    """Work that outlives a click."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_queue", "status", "priority"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int | None] = _archive_key()
    kind: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16), default="queued")
    priority: Mapped[int] = mapped_column(default=0)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    done: Mapped[float] = mapped_column(default=0.0)
    total: Mapped[float] = mapped_column(default=0.0)
    unit: Mapped[str] = mapped_column(default="")
    message: Mapped[str] = mapped_column(default="")
    rate: Mapped[float | None]
    eta_s: Mapped[float | None]
    heartbeat_at: Mapped[datetime | None]
    worker: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
    hint: Mapped[str] = mapped_column(default="")
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Finding(Base):
    """A question asked of an archive and what came of it."""

    if TYPE_CHECKING:
        parent_id: int | None  # the finding it was asked under: storage/follow_ups.py

    __tablename__ = "findings"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int] = _archive_key()
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    question: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    documents: Mapped[list[str]] = mapped_column(default=list)
    answer: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(String(24), default="running")
    confidence: Mapped[float | None]
    context: Mapped[dict[str, Any]] = mapped_column(default=dict)
    run: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    tags: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]
    citations: Mapped[list[Citation]] = relationship(
        order_by="Citation.number", lazy="selectin", passive_deletes=True, cascade="all, delete-orphan"
    )


class Citation(Base):
    """A numbered quote; it outlives its document under the document's name."""

    __tablename__ = "citations"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    document_id: Mapped[int | None] = mapped_column(
        ForeignKey("documents.id", ondelete="SET NULL"), index=True
    )
    document: Mapped[str]
    page: Mapped[int]
    start: Mapped[int] = mapped_column(BigInteger)
    end: Mapped[int] = mapped_column(BigInteger)
    quote: Mapped[str]
    verified: Mapped[bool]
    score: Mapped[float | None]


class Report(Base):
    """Findings put together under a title, in an order; `findings` holds their ids."""

    __tablename__ = "reports"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int] = _archive_key()
    title: Mapped[str] = mapped_column(String(200))
    introduction: Mapped[str] = mapped_column(default="")
    findings: Mapped[list[int]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class RunMetric(Base):
    """What one run cost: a bag of named numbers."""

    __tablename__ = "run_metrics"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    archive_id: Mapped[int | None] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"), index=True)
    finding_id: Mapped[int | None] = mapped_column(ForeignKey("findings.id", ondelete="SET NULL"), index=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Setting(Base):
    """A named JSON value."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
