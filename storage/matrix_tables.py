"""The tables of matrices: questions put to each of many documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storage.columns import utc_now
from storage.models import Base


class Matrix(Base):
    """Questions x documents of an archive; no ids in `documents` means all, also those added later."""

    __tablename__ = "matrices"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    documents: Mapped[list[int]] = mapped_column(default=list)
    run: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    questions: Mapped[list[MatrixQuestion]] = relationship(
        order_by="MatrixQuestion.position",
        lazy="selectin",
        passive_deletes=True,
        cascade="all, delete-orphan",
    )


class MatrixQuestion(Base):
    """A column: a short label, the question, and other words its answer may be found under."""

    __tablename__ = "matrix_questions"
    __table_args__ = (
        Index("ix_matrix_questions_order", "matrix_id", "position"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    matrix_id: Mapped[int] = mapped_column(ForeignKey("matrices.id", ondelete="CASCADE"))
    position: Mapped[int]
    label: Mapped[str]
    question: Mapped[str]
    terms: Mapped[str] = mapped_column(default="")


class MatrixCell(Base):
    """What one document says to one question, and what a person wrote in its place, kept apart."""

    __tablename__ = "matrix_cells"
    __table_args__ = (UniqueConstraint("question_id", "document_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    question_id: Mapped[int] = mapped_column(ForeignKey("matrix_questions.id", ondelete="CASCADE"))
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(String(24), default="pending")
    answer: Mapped[str] = mapped_column(default="")
    confidence: Mapped[float | None]
    page: Mapped[int | None]
    start: Mapped[int | None] = mapped_column(BigInteger)
    end: Mapped[int | None] = mapped_column(BigInteger)
    quote: Mapped[str] = mapped_column(default="")
    verified: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str] = mapped_column(default="")
    run: Mapped[dict[str, Any]] = mapped_column(default=dict)
    answered_at: Mapped[datetime | None]
    correction: Mapped[str | None]
    corrected_at: Mapped[datetime | None]
