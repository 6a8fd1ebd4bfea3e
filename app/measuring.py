"""What a stretch of reading cost: tokens, seconds, joules, spikes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devices.power import Measurement, Meter
    from engine.runs import RunStats

SHARED_S = 0.1  # shorter turns were only a look into the queue


class Stretch:
    """Measures from one `begin` to the next."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._open = ExitStack()
        self._power: Measurement | None = None
        self._tokens = 0
        self._began_at = self._other_s = 0.0

    def begin(self, tokens: int) -> None:
        """A new stretch starts at this many tokens."""
        self.close()
        self._power = self._open.enter_context(self._meter.measure())
        self._tokens, self._began_at, self._other_s = tokens, time.monotonic(), 0.0

    def interrupted(self, seconds: float) -> None:
        """So long other work, a question, took its turn; its joules cannot be told from the reading's."""
        if seconds > SHARED_S:
            self._other_s += seconds

    def end(self, tokens: int, run: RunStats | None) -> dict[str, Any]:
        """The numbers of the stretch; empty when nothing was read in it."""
        read, seconds = tokens - self._tokens, time.monotonic() - self._began_at - self._other_s
        self.close()
        power = self._power if not self._other_s else None
        if read <= 0 or seconds <= 0:
            return {}
        return {
            "tokens": read,
            "seconds": seconds,
            "read_tokens_per_s": read / seconds,
            "context_tokens": tokens,
            "state_bytes": run.bytes if run else None,
            **power_values(power),
            **spike_values(run),
        }

    def close(self) -> None:
        """Stop measuring."""
        self._open.close()


def power_values(power: Measurement | None) -> dict[str, Any]:
    """Joules and watts with their source, whether measured or estimated, and what is missing and why."""
    if power is None:
        power_of = ("energy_j", "power_w", "idle_power_w")
        shared = "a question was answered in between, whose energy cannot be told apart"
        named = {"power_source": "not available", "power_kind": "not available", "power_reason": shared}
        return dict.fromkeys(power_of) | named
    return {
        "energy_j": power.energy_j,
        "power_w": power.power_w,
        "power_source": power.source,
        "power_kind": power.kind,
        "power_reason": power.reason,
        "idle_power_w": power.idle_w,
    }


def spike_values(run: RunStats | None) -> dict[str, Any]:
    """Spikes per channel and the silent share; None where nothing is spike-coded."""
    if run is None:
        return {"spikes_per_channel": None, "silent_share": None}
    return {"spikes_per_channel": run.spikes_per_channel, "silent_share": run.silent_share}
