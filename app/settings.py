"""What a person may choose from outside: home folder, database, device, model, output form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from storage import Home


@dataclass(frozen=True, slots=True)
class Options:
    """The global options; an empty `database_url` means the SQLite file in the home folder, an empty `model`
    the one made default.
    """

    home: Path
    database_url: str = ""
    device: str = "auto"
    model: str = ""
    json: bool = False

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] | None = None,
        *,
        home: str | Path | None = None,
        database_url: str | None = None,
        device: str | None = None,
        model: str | None = None,
        json: bool = False,
    ) -> Options:
        """Arguments, then $ENGRAM_HOME, $ENGRAM_DATABASE_URL, $ENGRAM_DEVICE, $ENGRAM_MODEL, defaults."""
        env = os.environ if env is None else env
        where = home or env.get("ENGRAM_HOME")
        return cls(
            home=Path(where).expanduser().resolve() if where else Home.default().path,
            database_url=database_url or env.get("ENGRAM_DATABASE_URL", ""),
            device=device or env.get("ENGRAM_DEVICE") or "auto",
            model=model or env.get("ENGRAM_MODEL", ""),
            json=json,
        )

    def environment(self) -> dict[str, str]:
        """The same options for a child process."""
        values = {
            "ENGRAM_HOME": str(self.home),
            "ENGRAM_DATABASE_URL": self.database_url,
            "ENGRAM_DEVICE": self.device,
            "ENGRAM_MODEL": self.model,
        }
        return {name: value for name, value in values.items() if value}
