"""The home folder: where everything lives on disk."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from storage.errors import translated


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one folder; nothing is created before `ensure`."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """$ENGRAM_HOME, or the place this system keeps a person's application data."""
        if given := os.environ.get("ENGRAM_HOME"):
            return cls(Path(given).expanduser().absolute())
        if sys.platform == "darwin":
            return cls(Path.home() / "Library" / "Application Support" / "engram")
        if sys.platform == "win32":
            return cls(Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "engram")
        return cls(Path.home() / ".local" / "share" / "engram")

    @property
    def database_url(self) -> str:
        return URL.create("sqlite", database=str(self.path / "engram.db")).render_as_string(
            hide_password=False
        )

    @property
    def files(self) -> Path:
        return self.path / "files"

    @property
    def states(self) -> Path:
        return self.path / "states"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def live(self) -> Path:
        return self.path / "live"

    @property
    def spikes(self) -> Path:
        return self.path / "spikes"

    def ensure(self) -> Home:
        """Make the folders; the home itself is private to the user, since documents are."""
        with translated():
            if not self.path.exists():
                self.path.mkdir(mode=0o700, parents=True)
            for folder in (self.files, self.states, self.models, self.logs, self.live, self.spikes):
                folder.mkdir(exist_ok=True)
        return self
