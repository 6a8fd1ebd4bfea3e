"""What the sensors show while nothing is done, so that a run's own share of its energy can be told."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devices import Measurement, Meter

LOOK_S = 5.0
AGAIN_S = 600.0


class IdleWatch:
    """Call `idle` at every moment of idleness and `busy` when work comes: the work ends a look unused."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._look: Measurement | None = None
        self._meter: Meter | None = None
        self._began_at = self._known_at = 0.0

    def idle(self, meter: Meter) -> None:
        """Begin, or end, a look at this meter."""
        now = time.monotonic()
        if meter is not self._meter:
            self.busy()
            self._meter, self._known_at = meter, -AGAIN_S
        if self._look is None:
            if now - self._known_at >= AGAIN_S:
                self._look = self._open.enter_context(meter.measure())
                self._began_at = now
        elif now - self._began_at >= LOOK_S:
            look = self._look
            self.busy()
            self._known_at = now
            if look.power_w is not None:
                meter.idle_w = look.power_w

    def busy(self) -> None:
        """Work has come."""
        self._open.close()
        self._look = None
