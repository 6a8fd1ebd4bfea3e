"""The running product: one worker and one page, started together, watched, and stopped together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.console import StartError, say
from bootstrap.page import (
    address_of,
    answers,
    choose_port,
    open_browser,
    page_settings,
    record_running,
    running_address,
    running_file,
)
from bootstrap.window import open_window, window_command

PAGE_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
# A worker that ends this often, each time so soon after its start, is not worth another try.
QUICK_ENDS = 6
STEADY_S = 20.0


@dataclass(slots=True)
class Child:
    """One of the two programs, with the log its output goes to."""

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str]
    root: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0

    def start(self) -> None:
        """Start the program in a group of its own, so that Ctrl-C reaches it through us only."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                cwd=self.root,
                start_new_session=True,
                preexec_fn=_end_with_parent(),
            )
        self.started_at = time.monotonic()

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def exit_code(self) -> int | None:
        """The exit code of the program if it has ended, else None."""
        return self.process.poll() if self.process else None

    def stop(self, deadline: float) -> None:
        """Ask the program to stop, wait until `deadline`, then end whatever is left of its group."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()  # the program itself first: it saves and stops its own children
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.1, deadline - time.monotonic()))
        if os.name == "nt":
            self.process.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def how_it_ended(self) -> str:
        """The exit code in words."""
        code = self.exit_code()
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def last_words(self) -> str:
        """The end of the log, for an error message."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join("    " + line for line in lines[-5:])


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux, have the kernel stop a child whose start.py was killed; elsewhere there is no such call."""
    if sys.platform != "linux":
        return None
    library, death_signal = ctypes.CDLL(None), 1

    def ask_kernel() -> None:
        library.prctl(death_signal, signal.SIGTERM)

    return ask_kernel


def run(
    python: Path,
    root: Path,
    home: Path,
    environment: Mapping[str, str],
    port: int | None = None,
    browser: bool = True,
    window: bool = False,
) -> int:
    """Run worker and page until Ctrl-C or until the `window` is closed (exit code 0), or until one of them
    cannot go on (StartError).
    """
    opening = window_command(home) if window else []
    if (address := running_address(home)) is not None:
        print(f"Engram is already running at {address}", flush=True)
        open_browser(address, browser and not window)
        if window:
            open_window(opening, address)
        return 0
    port = choose_port(port)
    program = [str(python), "-m", "app"]
    worker = Child("worker", [*program, "worker"], _fresh_log(home, "worker"), environment, root)
    served = {**environment, **page_settings(port)}
    page = Child("page", [*program, "serve"], _fresh_log(home, "page"), served, root)

    def record() -> None:
        record_running(home, port, {"worker": worker.pid, "page": page.pid})

    shown: subprocess.Popen[bytes] | None = None
    with _stop_signals():
        try:
            page.start()
            wait_for_page(page, port)  # alone: a worker loading its model would hold the page up
            worker.start()
            record()
            print(f"Engram is at {address_of(port)}   (Ctrl-C stops it)", flush=True)
            open_browser(address_of(port), browser and not window)
            shown = open_window(opening, address_of(port)) if window else None
            supervise(worker, page, record, lambda: shown is not None and shown.poll() is not None)
            say("The window was closed. Everything read and answered so far is kept.")
            return 0
        except KeyboardInterrupt:
            say("\nStopping. Everything read and answered so far is kept.")
            return 0
        finally:
            running_file(home).unlink(missing_ok=True)
            if shown is not None:
                shown.terminate()
            stop_all(page, worker)


def wait_for_page(page: Child, port: int, timeout_s: float = PAGE_TIMEOUT_S) -> None:
    """Return as soon as the page answers; StartError if it ends or stays silent instead."""
    deadline = time.monotonic() + timeout_s
    while not answers(port):
        if page.exit_code() is not None:
            raise _ended(page, "The page ended while starting")
        if time.monotonic() > deadline:
            raise StartError(f"The page does not answer after {timeout_s:.0f} s.", f"Log: {page.log}")
        time.sleep(0.05)


def supervise(
    worker: Child,
    page: Child,
    restarted: Callable[[], None],
    closed: Callable[[], bool] = lambda: False,
    pause_s: float = 0.5,
) -> None:
    """Start the worker again whenever it ends, until the window is `closed`; StartError once the page ends
    or restarts stop helping.
    """
    quick_ends = 0
    while not closed():
        time.sleep(pause_s)
        if page.exit_code() is not None:
            raise _ended(page, f"The page ended ({page.how_it_ended()})")
        if worker.exit_code() is None:
            continue
        quick_ends = quick_ends + 1 if time.monotonic() - worker.started_at < STEADY_S else 1
        if quick_ends >= QUICK_ENDS:
            raise _ended(worker, "The worker ends as soon as it starts")
        say(f"The worker ended ({worker.how_it_ended()}); starting it again, it goes on where it stopped.")
        worker.stop(deadline=0)  # what it had started, a parser perhaps, must not outlive it
        time.sleep(pause_s * (2 ** (quick_ends - 1) - 1))
        worker.start()
        restarted()


def _ended(child: Child, message: str) -> StartError:
    return StartError(f"{message}. The last lines of its log:\n{child.last_words()}", f"Log: {child.log}")


def stop_all(*children: Child) -> None:
    """Stop all children, giving them time to save; a second Ctrl-C ends them at once."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    try:
        for child in children:
            child.stop(deadline)
    except KeyboardInterrupt:
        for child in children:
            child.stop(deadline=0)


@contextlib.contextmanager
def _stop_signals() -> Iterator[None]:
    """Treat being told to end, by a signal or a closed terminal, as Ctrl-C."""
    names = [name for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    previous = {name: signal.signal(getattr(signal, name), signal.default_int_handler) for name in names}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(getattr(signal, name), handler)


def _fresh_log(home: Path, name: str) -> Path:
    """An empty log for this run; the one of the run before is kept beside it."""
    log = home / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        os.replace(log, log.with_suffix(".previous.log"))
    log.touch()
    return log
