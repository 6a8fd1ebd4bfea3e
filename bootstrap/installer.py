"""pip, made readable: what it downloads with a percentage, its log in a file, its failures in words."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bootstrap.console import Progress, StartError, say
from bootstrap.processes import stream

DOWNLOAD = re.compile(r"\s*Downloading (?P<file>\S+)(?: \((?P<size>[^)]*)\))?")
PROGRESS = re.compile(r"Progress (?P<done>\d+) of (?P<total>\d+)")
LARGE_BYTES = 5_000_000

NETWORK_SIGNS = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "SSLError",
    "Network is unreachable",
    "Connection refused",
    "Connection reset",
    "Connection aborted",
    "connection broken",
    "timed out",
)


class PipView:
    """Turns pip's lines into progress for the person and keeps all of them in a log file."""

    def __init__(self, log: Path) -> None:
        self.log = log.open("a", encoding="utf-8")
        self.progress: Progress | None = None
        self.file = ""
        self.warned = False

    def line(self, text: str) -> None:
        """Take one line of pip's output."""
        if match := PROGRESS.match(text):
            self._advance(int(match["done"]), int(match["total"]))
            return
        self.log.write(text + "\n")
        if match := DOWNLOAD.match(text):
            self._end_progress()
            self.file = match["file"].rsplit("/", 1)[-1]
        elif text.startswith("Installing collected packages:"):
            self._end_progress()
            say(f"  unpacking {text.count(',') + 1} packages")
        elif "Retrying (" in text and not self.warned:
            self.warned = True
            say("  the package index does not answer; trying again")

    def _advance(self, done: int, total: int) -> None:
        if total < LARGE_BYTES:
            return
        if self.progress is None:
            self.progress = Progress("-".join(self.file.split("-")[:2]) or "download")
        self.progress.update(done, total)

    def _end_progress(self) -> None:
        if self.progress is not None:
            self.progress.close()
            self.progress = None

    def close(self) -> None:
        """Finish the drawn line and the log."""
        self._end_progress()
        self.log.close()


def run_pip(python: Path, arguments: Sequence[str | Path], log: Path, failed: str) -> None:
    """Run `pip ARGUMENTS` with progress; on failure raise StartError beginning with `failed`."""
    run_installer([python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments], log, failed)


def run_installer(command: Sequence[str | Path], log: Path, failed: str) -> None:
    """Run pip, or a program that prints like it, with progress; raise StartError if it fails."""
    start = log.stat().st_size if log.exists() else 0
    view = PipView(log)
    try:
        code = stream(command, view.line)
    finally:
        view.close()
    if code != 0:
        with log.open(encoding="utf-8") as file:
            file.seek(start)
            raise StartError(f"{failed} (exit code {code}).", explain(file.read(), log))


def pip_report(python: Path, requirement: str, log: Path) -> dict:
    """What pip would install for one requirement, as its own JSON report; downloads nothing."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command += ["install", "--dry-run", "--quiet", "--report", "-", requirement]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        with log.open("a", encoding="utf-8") as file:
            file.write(done.stderr)
        raise StartError(f"pip cannot find {requirement}.", explain(done.stderr, log))
    return json.loads(done.stdout)


def explain(output: str, log: Path) -> str:
    """What a person can do about a failed installation, read off the installer's output."""
    if "No space left on device" in output:
        return "The disk is full: free about 3 GB and run this again."
    if any(sign in output for sign in NETWORK_SIGNS):
        return (
            "The package index could not be reached. Connect to the network and run this again; behind a "
            f"proxy set HTTPS_PROXY, or use pip's own settings (pip config). Details: {log}"
        )
    if "No matching distribution found" in output:
        return f"There is no build of that package for this system and this Python. Details: {log}"
    errors = [line for line in output.splitlines() if line.lower().startswith("error")]
    return f"{errors[-1]} Details: {log}" if errors else f"Details: {log}"
