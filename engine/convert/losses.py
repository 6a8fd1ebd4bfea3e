"""Losses of a training stage: a JSON line a step, and how far it is for people now and then."""

import json
import time
from pathlib import Path

from engine.convert.progress import Progress


class LossLog:
    """Appends loss lines to `path` (None: nowhere) for the steps after `first` up to `last`."""

    def __init__(self, path: Path | None, stage: str, first: int, last: int) -> None:
        self._path, self._stage, self._first, self.last = path, stage, first, last
        self._started, self._tokens, self._mean = time.monotonic(), 0, 0.0
        self._progress = Progress(stage, last, "steps", done=first)

    def add(self, step: int, loss: float, tokens: int) -> None:
        """One finished step."""
        spent = time.monotonic() - self._started
        self._tokens += tokens
        self._mean = loss if step - self._first == 1 else 0.95 * self._mean + 0.05 * loss
        line = {
            "stage": self._stage,
            "step": step,
            "loss": round(loss, 4),
            "tokens": tokens,
            "s": round(spent, 1),
        }
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        speed = self._tokens / max(spent, 1e-9)
        self._progress.add(1, f"loss {self._mean:.3f}, {speed:,.0f} tokens/s")
        if step == self.last:
            self._progress.close()
