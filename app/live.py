"""The gauges' figures while a job runs, a sample a second, in a small file that the pages read.

A file, not the database: the database waits for the disk at every commit, and a gauge is not worth that.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psutil

from app.services import Services
from app.task import Task
from engine.costs import Shape
from storage import Home, StorageError, metrics
from storage.models import Job

log = logging.getLogger(__name__)
if TYPE_CHECKING:
    from devices import Meter
    from engine import Engine

SAMPLE_S = 1.0
LEAST_S = 0.2  # a shorter stretch says nothing of power
SPEED_S = 8.0
KEPT = 240  # then every second sample goes and they come half as often
QUIET_KINDS = frozenset({"ingest", "model", "spikes"})
SERIES = ("seconds", "power_w", "energy_j", "tokens_per_s", "tokens", "context_tokens", "memory_bytes",
          "spikes_per_channel", "silent_share")  # fmt: skip


class Live:
    """Samples a job from beside it. Use as a context manager around the job."""

    def __init__(self, services: Services, task: Task) -> None:
        self._services = services
        self._task = task
        self._path = live_path(services.home, task.job.id)
        self._over = threading.Event()
        self._began_at = time.monotonic()
        self._every = 1
        self._ticks = 0
        self._last: tuple[float, float | None] | None = None
        self._counted: deque[tuple[float, int]] = deque()
        self._first: tuple[float | None, int | None] = (None, None)
        self._engine: Engine | None = None
        self._shape: dict[str, Any] | None = None
        self._meter: Meter | None = None
        self._measuring = ExitStack()
        self._thread = threading.Thread(target=self._run, name=f"gauges-{task.job.id}", daemon=True)
        self.cpu_s = 0.0  # what watching has cost so far
        self.series: dict[str, list[float | None]] = {name: [] for name in SERIES}

    def __enter__(self) -> Live:
        if self._task.job.kind not in QUIET_KINDS:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.ident is None:
            return
        self._thread.join()
        self._measuring.close()
        self._path.unlink(missing_ok=True)
        if self.series["seconds"] and not self._task.lost:
            self._keep()

    def _run(self) -> None:
        try:
            while not self._over.wait(SAMPLE_S):
                self.sample()
            self.sample()
        except Exception:  # a gauge must not disturb the work it shows
            log.exception("the gauges of job %d stopped", self._task.job.id)

    def sample(self) -> None:
        """Take one sample and show it."""
        before = time.thread_time()
        self._begin()
        values = self._values()
        self._ticks += 1
        if values is not None and self._ticks % self._every == 0:
            for name in SERIES:
                self.series[name].append(values.get(name))
            if len(self.series["seconds"]) > KEPT:
                self.series = {name: column[1::2] for name, column in self.series.items()}
                self._every *= 2
        with suppress(OSError):  # a full disk must not end the job
            self._write()
        self.cpu_s += time.thread_time() - before

    def _begin(self) -> None:
        """Measure from the moment the model is there: loading is no part of reading or answering."""
        engine = self._services.engine_in_use
        if engine is not None and engine is not self._engine:  # loaded just now, or again elsewhere
            self._measuring.close()
            self._engine = engine
            self._shape = Shape.of(engine).as_dict() if tokens_seen(engine) is not None else None
            self._meter = self._services.meter
            self._measuring.enter_context(self._meter.measure())
            self._first = self._meter.total_j(), tokens_seen(engine)
            self._last = time.monotonic(), self._first[0]
            self._counted.clear()

    def _values(self) -> dict[str, float | None] | None:
        engine = self._services.engine_in_use
        if engine is None or self._meter is None or self._last is None:
            return None
        now, energy_j, tokens = time.monotonic(), self._meter.total_j(), tokens_seen(engine)
        then, energy_before = self._last
        passed = now - then
        if passed < LEAST_S:
            return None
        self._last = now, energy_j
        run = engine.last_run
        return {
            "seconds": round(now - self._began_at, 2),
            "power_w": _rate(energy_j, energy_before, passed),
            "energy_j": _difference(energy_j, self._first[0]),
            "tokens_per_s": self._speed(now, tokens),
            "tokens": _difference(tokens, self._first[1]),
            "context_tokens": self._task.done if self._task.job.kind == "read" else None,
            "memory_bytes": psutil.Process().memory_info().rss,
            "spikes_per_channel": run.spikes_per_channel if run else None,
            "silent_share": run.silent_share if run else None,
        }

    def _speed(self, now: float, tokens: int | None) -> float | None:
        """Tokens a second over the last few seconds; over more where a chunk takes longer than that."""
        if tokens is None:
            return None
        points = self._counted
        points.append((now, tokens))
        while len(points) > 2 and now - points[1][0] >= SPEED_S and points[1][1] < tokens:
            points.popleft()
        return _rate(tokens, points[0][1], now - points[0][0]) if points[0][1] < tokens else None

    def _about(self) -> dict[str, Any]:
        engine, meter, job = self._services.engine_in_use, self._meter, self._task.job
        return {
            "job_id": job.id,
            "kind": job.kind,
            "device": engine.device if engine is not None else None,
            "device_note": self._services.device_note,
            "power_source": meter.source if meter else None,
            "power_kind": meter.kind if meter else None,
            "power_reason": meter.reason if meter else "",
            "idle_power_w": meter.idle_w if meter else None,
            "shape": self._shape,
        }

    def _write(self) -> None:
        text = json.dumps({**self._about(), "series": self.series})
        part = self._path.with_suffix(".part")
        part.write_text(text, "utf-8")
        os.replace(part, self._path)

    def _keep(self) -> None:
        """The run's history, for the run sheet."""
        job = self._task.job
        keys = {"archive_id": job.archive_id, "job_id": job.id, "finding_id": job.payload.get("finding_id")}
        with suppress(StorageError), self._services.database.session() as s:
            metrics.add_metric(s, "trace", {**self._about(), "series": self.series}, **keys)


def tokens_seen(engine: Any) -> int | None:
    """Tokens the model has processed since it was loaded."""
    return getattr(getattr(engine, "decoder", None), "tokens_seen", None)


def live_path(home: Home, job_id: int) -> Path:
    """Where a job's gauges are."""
    return home.live / f"{job_id}.json"


def load_live(home: Home, job: Job) -> dict[str, Any] | None:
    """The figures of a running job, or None while there are none."""
    try:
        found = json.loads(live_path(home, job.id).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("series"), dict) else None


def sweep(home: Home) -> None:
    """Remove what workers that were killed left behind."""
    for path in home.live.glob("*"):
        path.unlink(missing_ok=True)


def _difference(now: float | None, before: float | None) -> float | None:
    return round(now - before, 4) if now is not None and before is not None else None


def _rate(now: float | None, before: float | None, seconds: float) -> float | None:
    change = _difference(now, before)
    return round(change / seconds, 3) if change is not None and change >= 0 else None
