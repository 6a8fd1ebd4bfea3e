"""An estimate where nothing can be measured, on request only: how busy the processor is, times its TDP."""

from __future__ import annotations

import psutil

CLASSES: tuple[tuple[str, int], ...] = (
    ("Small board or fanless laptop", 10),
    ("Thin laptop", 15),
    ("Laptop", 28),
    ("Large laptop", 45),
    ("Desktop", 65),
    ("Large desktop", 125),
    ("Workstation", 180),
    ("Server, one socket", 225),
    ("Large server, one socket", 350),
)
"""Kinds of machine and the TDP in watts that is common for their processors."""


class TdpEstimate:
    """Joules as TDP times the seconds that the whole machine's processors were busy (psutil's counters)."""

    sample_s: float | None = None
    estimated = True

    def __init__(self, tdp_w: float) -> None:
        self._tdp_w = tdp_w
        # The model, in the words that stand beside every figure.
        self.source = f"estimate: utilisation × {tdp_w:g} W TDP"

    def read_energy_j(self) -> float | None:
        """Joules since the machine started."""
        times = psutil.cpu_times()
        total = sum(getattr(times, name) for name in times._fields if not name.startswith("guest"))
        waited = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
        return (total - waited) / (psutil.cpu_count() or 1) * self._tdp_w
