"""Progress of a training stage: a JSON line a step, and a line for people now and then."""

import json
import sys
import time
from pathlib import Path

SHOW_EVERY_S = 20.0


class LossLog:
    """Appends loss lines to `path`; says on standard error how far a stage is and how long it will take."""

    def __init__(self, path: Path, stage: str, first: int, last: int) -> None:
        self._path, self._stage, self._first, self._last = path, stage, first, last
        self._started = self._shown = time.monotonic()
        self._tokens, self._mean = 0, 0.0

    def add(self, step: int, loss: float, tokens: int) -> None:
        """One finished step."""
        now = time.monotonic()
        self._tokens += tokens
        self._mean = loss if step - self._first == 1 else 0.95 * self._mean + 0.05 * loss
        speed = self._tokens / max(now - self._started, 1e-9)
        line = {
            "stage": self._stage,
            "step": step,
            "loss": round(loss, 4),
            "tokens": tokens,
            "s": round(now - self._started, 1),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if now - self._shown >= SHOW_EVERY_S or step == self._last:
            self._shown = now
            left = (now - self._started) / (step - self._first) * (self._last - step)
            print(
                f"{self._stage}: step {step}/{self._last}, loss {self._mean:.3f}, {speed:.0f} tokens/s, "
                f"{left / 60:.0f} min left",
                file=sys.stderr,
                flush=True,
            )
