"""A running job as the code doing it sees it: progress out, cancel and stop in, a heartbeat kept up."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from app.errors import JobCancelledError, JobStoppedError
from app.services import Services
from storage import Beat, Job, StorageError, jobs

BEAT_S = 3.0
SHOW_S = 0.5
RATE_WINDOW_S = 20.0
log = logging.getLogger(__name__)


class Task:
    """A claimed job. Use as a context manager: the heartbeat runs inside.

    `stop` asks for a clean end, `serve` is called between steps (a worker answers questions there).
    """

    def __init__(
        self,
        services: Services,
        job: Job,
        worker: str,
        stop: threading.Event | None = None,
        serve: Callable[[], None] | None = None,
    ) -> None:
        self.job = job
        self.worker = worker
        self._database = services.database
        self._stop = stop or threading.Event()
        self._serve = serve
        self._signal = Beat.GO
        self._over = threading.Event()
        self._shown_at = 0.0
        self.done = 0.0
        self._speed = Speed()
        self._thread = threading.Thread(target=self._keep_alive, name=f"heartbeat-{job.id}", daemon=True)

    def __enter__(self) -> Task:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def lost(self) -> bool:
        """Whether another worker has the job by now; then nothing more may be written for it."""
        return self._signal is Beat.LOST

    @property
    def asked_to_end(self) -> bool:
        """Whether `check` would raise."""
        return self._signal is not Beat.GO or self._stop.is_set()

    def check(self) -> None:
        """Raise if the job was cancelled, or is to go back to the queue."""
        if self._signal is Beat.CANCELLED:
            raise JobCancelledError
        if self._signal is Beat.LOST or self._stop.is_set():
            raise JobStoppedError

    def between(self) -> float:
        """Call between two steps: raises as `check` does, lets other work take a turn; its seconds."""
        self.check()
        if self._serve is None:
            return 0.0
        began = time.monotonic()
        with self._speed.paused():
            self._serve()
        return time.monotonic() - began

    def progress(
        self, done: float, total: float, unit: str = "", message: str = "", *, at_once: bool = False
    ) -> None:
        """Report how far the work is; written at most every half second unless `at_once`."""
        self.done = done
        now = time.monotonic()
        rate = self._speed.at(now, done)
        if now - self._shown_at < SHOW_S and not at_once:
            return
        self._shown_at = now
        left_s = max(total - done, 0.0) / rate if rate else None
        self._beat(done=done, total=total, unit=unit, message=message, rate=rate, eta_s=left_s)

    def _keep_alive(self) -> None:
        while not self._over.wait(BEAT_S):
            self._beat()

    def _beat(self, **values: float | str | None) -> None:
        try:
            with self._database.session() as s:
                self._signal = jobs.beat(s, self.job.id, worker=self.worker, **values)  # type: ignore[arg-type]
        except StorageError as error:  # the job itself will meet it if it lasts
            log.warning("heartbeat of job %d not written: %s", self.job.id, error.message)


class Speed:
    """Units a second over the last twenty seconds of work; pauses do not count."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()
        self._worked_s = 0.0
        self._last: float | None = None

    def at(self, now: float, done: float) -> float | None:
        """Note a point; None until there is something to go by."""
        self._worked_s += now - self._last if self._last is not None else 0.0
        self._last = now
        points = self._points
        if points and done < points[-1][1]:
            points.clear()
        points.append((self._worked_s, done))
        while len(points) > 2 and points[-1][0] - points[1][0] >= RATE_WINDOW_S:
            points.popleft()
        seconds = points[-1][0] - points[0][0]
        return (points[-1][1] - points[0][1]) / seconds if seconds > 0 else None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside is not counted as work."""
        began = time.monotonic()
        yield
        if self._last is not None:
            self._last += time.monotonic() - began
