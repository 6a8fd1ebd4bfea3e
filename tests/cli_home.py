"""Commands run in the test's own process, over a home with the tiny model loaded once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from app_home import copy_read, make_home, tiny_engine

from app.services import Services

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "What is the notice period of the lease?"
FILES = {"lease.txt": "The notice period of the lease is six months.\n", "lab.txt": "The film was cold.\n"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the tiny model; commands run in this process share the loaded model."""
    made = make_home(tmp_path)
    before = Services.__init__

    def with_engine(self: Services, options: Any, **given: Any) -> None:
        before(self, options, **({"engine": tiny_engine()} | given))

    monkeypatch.setattr(Services, "__init__", with_engine)
    monkeypatch.setenv("ENGRAM_HOME", str(made))
    return made


@pytest.fixture
def archive(home: Path) -> str:
    """The name of an archive that has been read."""
    copy_read(home.parent, FILES, "Papers")
    return "Papers"


def output(capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command printed, as JSON."""
    return json.loads(capsys.readouterr().out)


def environment(home: Path) -> dict[str, str]:
    """What a command in a process of its own needs to find our packages and this home."""
    return {**os.environ, "ENGRAM_HOME": str(home), "PYTHONPATH": str(ROOT)}


def run(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "app", *words]
    return subprocess.run(
        command, env=environment(home), cwd=ROOT, capture_output=True, text=True, check=False
    )
