"""What checks of models found, kept for the pages, which load no model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from storage import settings

_PREFIX = "model:"


@dataclass(frozen=True, slots=True)
class Report:
    """The inspection as JSON (`engine.inspecting.Inspection`), or why there is none; the memory then free."""

    name: str
    checked_at: str
    inspection: dict[str, Any] | None
    error: dict[str, str] | None
    memory_bytes: int

    @property
    def usable(self) -> bool:
        """Whether archives can be read with the model, memory aside."""
        return self.inspection is not None and not self.inspection["problems"]


def save_report(s: Session, report: Report) -> None:
    """Keep it in place of an older one."""
    settings.set_setting(s, _PREFIX + report.name[:150], asdict(report))


def load_reports(s: Session) -> dict[str, Report]:
    """The latest report of each model by name."""
    return {
        key.removeprefix(_PREFIX): Report(**value)
        for key, value in settings.list_settings(s, _PREFIX).items()
    }


def forget_report(s: Session, name: str) -> None:
    """The model is gone."""
    settings.delete_setting(s, _PREFIX + name[:150])
