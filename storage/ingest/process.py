"""One parsing child process and the line protocol with it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

_STORAGE = Path(__file__).resolve().parents[1]
# The child is `storage.ingest.child`, started without running the packages' __init__ files: SQLAlchemy and
# NumPy would cost half a second and much of the memory limit, and hostile files have no business near them.
_BOOTSTRAP = """
import sys, types
for name, folder in (("storage", sys.argv[1]), ("storage.ingest", sys.argv[1] + "/ingest")):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [folder]
from storage.ingest.child import main
main()
"""
_START_S = 60
_MAX_REPLY = 65_536


class ChildTimeout(Exception):
    """No reply within the wall-clock limit."""


class ChildDied(Exception):
    """The child ended without a reply."""

    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode


class Child:
    """A running `storage.ingest.child`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-X", "utf8", "-c", _BOOTSTRAP, str(_STORAGE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_STORAGE,
            env=_environment(),
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self._receive(_START_S)  # its greeting; a slow start is not the file's fault
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and wait for its reply; ChildTimeout or ChildDied when none comes."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise ChildDied(self._process.wait()) from None
        return self._receive(seconds)

    def _receive(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise ChildTimeout from None
        if not line.endswith(b"\n"):
            raise ChildDied(self._process.wait())
        try:
            reply: dict[str, Any] = json.loads(line)
        except ValueError:
            raise ChildDied(1) from None  # a parser that corrupts memory may write anything
        return reply

    def kill(self) -> None:
        """End the child at once and release its pipes."""
        self._process.kill()
        self._process.wait()
        self._listener.join(timeout=5)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                line = self._process.stdout.readline(_MAX_REPLY)
            except (OSError, ValueError):
                line = b""
            self._lines.put(line)
            if not line.endswith(b"\n"):
                return


def _environment() -> dict[str, str]:
    return {**os.environ, "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
