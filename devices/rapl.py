"""RAPL: the processor's own energy counters, as Linux shows them under powercap (Intel, AMD since Zen)."""

from __future__ import annotations

import threading
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
# No socket draws more than this, so a counter read this much more often than it can wrap is never wrong.
_HIGHEST_POWER_W = 1000


class RaplZone:
    """One counter of microjoules (a package, or its memory) that starts again at zero when it is full."""

    def __init__(self, folder: Path) -> None:
        self._energy = folder / "energy_uj"
        self.source = f"RAPL {(folder / 'name').read_text().strip()}"
        self._range_uj = int((folder / "max_energy_range_uj").read_text())
        self._lock = threading.Lock()
        self._last_uj = int(self._energy.read_text())
        self._total_uj = 0
        self.sample_s: float | None = self._range_uj / 1e6 / _HIGHEST_POWER_W / 2

    def read_energy_j(self) -> float | None:
        """Joules since this object was made; None when the counter can no longer be read."""
        with self._lock:
            try:
                now_uj = int(self._energy.read_text())
            except (OSError, ValueError):
                return None
            step_uj = now_uj - self._last_uj
            self._total_uj += step_uj if step_uj >= 0 else step_uj + self._range_uj
            self._last_uj = now_uj
            return self._total_uj / 1e6


def rapl_meters(powercap: Path = POWERCAP) -> tuple[list[RaplZone], str]:
    """Counters of every package and its memory, or none and the reason in words.

    Cores and graphics lie inside the package, and `psys` holds the package: adding them would count twice.
    """
    zones = [folder for folder in sorted(powercap.glob("intel-rapl:*")) if _wanted(folder)]
    if not zones:
        return (
            [],
            "this machine shows no RAPL energy counters (a virtual machine, or not Linux on Intel or AMD)",
        )
    try:
        meters = [RaplZone(folder) for folder in zones]
    except PermissionError as error:
        return [], (
            f"reading {error.filename} is not permitted; "
            f"an administrator can allow it: chmod a+r {powercap}/intel-rapl:*/energy_uj"
        )
    except (OSError, ValueError) as error:
        return [], f"the RAPL counters cannot be read: {error}"
    for meter, folder in zip(meters, zones, strict=True):
        package = _name(folder.with_name(folder.name.rpartition(":")[0]))
        if package.startswith("package"):
            meter.source += f" of {package}"
    return meters, ""


def _wanted(folder: Path) -> bool:
    return _name(folder).startswith("package") or _name(folder) == "dram"


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""
