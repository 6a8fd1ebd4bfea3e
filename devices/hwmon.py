"""Graphics cards' sensors as the Linux kernel shows them to every user (amdgpu, xe, i915)."""

from __future__ import annotations

from pathlib import Path

from devices.integral import PowerIntegral

HWMON = Path("/sys/class/hwmon")


class HwmonEnergy:
    """A card's own count of microjoules."""

    sample_s: float | None = None

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self.source = source

    def read_energy_j(self) -> float | None:
        """Joules so far; None when the file can no longer be read."""
        value = _number(self._path)
        return None if value is None else value / 1e6


def hwmon_meter(
    drivers: tuple[str, ...], index: int, hwmon: Path | None = None
) -> HwmonEnergy | PowerIntegral | None:
    """The counter, else the watts, of the card with this number among those of these drivers."""
    folders = (hwmon or HWMON).glob("hwmon*")
    cards = sorted((_slot(folder), folder) for folder in folders if _text(folder) in drivers)
    if index >= len(cards):
        return None
    folder = cards[index][1]
    named = f"{_text(folder)} (card {index})"
    if _number(folder / "energy1_input") is not None:
        return HwmonEnergy(folder / "energy1_input", f"energy counter of {named}")
    shown = (folder / name for name in ("power1_average", "power1_input"))
    path = next((path for path in shown if _number(path) is not None), None)
    return None if path is None else PowerIntegral(f"power of {named}, integrated", lambda: _watts(path))


def _watts(path: Path) -> float | None:
    value = _number(path)
    return None if value is None else value / 1e6


def _slot(folder: Path) -> str:
    """Where the card sits on the bus: what numbers cards."""
    return str((folder / "device").resolve())


def _text(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
