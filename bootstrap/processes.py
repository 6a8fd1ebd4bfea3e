"""Running other programs: line by line, in place of this one, and under a lock that outlives no crash."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bootstrap.console import say

QUIET_S = 15.0


def child_environment(root: Path, home: Path) -> dict[str, str]:
    """The environment every program of Engram runs in.

    Idle OpenMP threads sleep instead of spinning: two spinning pools make each other several times slower.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    return environment | {
        "ENGRAM_HOME": str(home),
        "PYTHONPATH": str(root),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
    }


def stream(
    command: Sequence[str | Path],
    on_line: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    """Run a program, hand over each line it prints as it comes, and return its exit code.

    After some silence a line says that it is still at work, so that nothing ever looks stuck.
    """
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        cwd=cwd,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read_lines, args=(process, lines), daemon=True)
    reader.start()
    started = time.monotonic()
    try:
        while True:
            try:
                line = lines.get(timeout=QUIET_S)
            except queue.Empty:
                say(f"  still working ({time.monotonic() - started:.0f} s)")
                continue
            if line is None:
                return process.wait()
            on_line(line)
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def replace(command: Sequence[str | Path], environment: Mapping[str, str], cwd: Path | None = None) -> int:
    """Become another program, so that its exit code and signals are exactly its own."""
    words = [str(word) for word in command]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":
        return subprocess.call(words, env=dict(environment), cwd=cwd)
    if cwd is not None:
        os.chdir(cwd)
    os.execve(words[0], words, dict(environment))


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold an operating-system lock on a file; `waiting` is said if somebody else has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if not _try_lock(file.fileno()):
            say(waiting)
            while not _try_lock(file.fileno()):
                time.sleep(0.2)
        yield  # closing the file gives the lock back, and so does the end of the process


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        with contextlib.suppress(OSError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            return True
        return False
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False
