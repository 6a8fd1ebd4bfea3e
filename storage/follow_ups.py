"""Which finding was asked under which."""

from __future__ import annotations

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, column_property, mapped_column

from storage.models import Base, Finding


class FollowUp(Base):
    """A finding and the one above it; it ends with either, so that no thread leads to what is gone."""

    __tablename__ = "follow_ups"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id", ondelete="CASCADE"), unique=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("findings.id", ondelete="CASCADE"), index=True)


_above = select(FollowUp.parent_id).where(FollowUp.finding_id == Finding.id).correlate_except(FollowUp)
Finding.parent_id = column_property(_above.scalar_subquery())  # type: ignore[assignment]
