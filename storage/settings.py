"""Settings: named JSON values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from storage.models import Setting


def get_setting(s: Session, key: str, default: Any = None) -> Any:
    """The stored value, or the default."""
    row = s.get(Setting, key)
    return default if row is None else row.value


def set_setting(s: Session, key: str, value: Any) -> None:
    """Store a JSON value under a name."""
    s.merge(Setting(key=key, value=value))
    s.flush()


def list_settings(s: Session, prefix: str = "") -> dict[str, Any]:
    """Settings whose name starts with `prefix`."""
    query = select(Setting.key, Setting.value).where(Setting.key.startswith(prefix, autoescape=True))
    return {row[0]: row[1] for row in s.execute(query.order_by(Setting.key))}


def delete_setting(s: Session, key: str) -> None:
    """Forget a setting; no error when there is none."""
    s.execute(delete(Setting).where(Setting.key == key))
