"""What a person chose in the page: device, threshold factor, an estimate of power. Kept in the database."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.errors import UserError
from storage import settings

LEAST_K, MOST_K = 0.5, 8.0
LEAST_TDP_W, MOST_TDP_W = 1.0, 2000.0
_PREFIX = "choice:"


@dataclass(frozen=True, slots=True)
class Choices:
    """`spike_k` None: the model's own; `tdp_w` None: power is not estimated."""

    device: str = "auto"
    device_at: float = 0.0  # when it was chosen: choosing a device anew gives it another chance
    spike_k: float | None = None
    tdp_w: float | None = None

    @classmethod
    def load(cls, s: Session) -> Choices:
        """As last chosen."""
        kept = settings.list_settings(s, _PREFIX)
        names = asdict(cls())
        return cls(**{name: kept[_PREFIX + name] for name in names if _PREFIX + name in kept})


def choose(s: Session, **changes: Any) -> Choices:
    """Keep these choices; UserError for one that makes no sense."""
    _check("spike_k", changes.get("spike_k"), LEAST_K, MOST_K, "The threshold factor")
    _check("tdp_w", changes.get("tdp_w"), LEAST_TDP_W, MOST_TDP_W, "The processor's TDP in watts")
    for name, value in changes.items():
        settings.set_setting(s, _PREFIX + name, value)
    return Choices.load(s)


def _check(name: str, value: Any, least: float, most: float, words: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UserError(f"bad_{name}", f"{words} must lie between {least:g} and {most:g}.", "Enter another.")
