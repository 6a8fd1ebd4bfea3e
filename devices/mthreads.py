"""Moore Threads cards: watts from the vendor's Python module, else from `mthreads-gmi`."""

from __future__ import annotations

import re
from typing import Any

from devices.commands import ask, physical_index
from devices.device import Device
from devices.integral import PowerIntegral, SlowIntegral

VISIBLE = "MUSA_VISIBLE_DEVICES"
# `mthreads-gmi -q -d POWER` has one such row a card; some releases put a blank before the unit.
_DRAW = re.compile(r"^\s*Power Draw\s*:\s*([0-9]+(?:\.[0-9]+)?)\s*W\s*$", re.MULTILINE)


def load_mtml() -> Any | None:
    """The `pymtml` module (mthreads-ml-py), started; None where it is missing or finds no driver."""
    try:
        import pymtml

        pymtml.mtmlLibraryInit()
    except Exception:  # missing module, missing library, missing driver: each raises its own
        return None
    return pymtml


def mthreads_meter(
    device: Device, mtml: Any | None = None
) -> tuple[PowerIntegral | SlowIntegral | None, str]:
    """The meter of a Moore Threads card, or None and the reason in words."""
    index = physical_index(device.name, VISIBLE)
    mtml = mtml or load_mtml()
    if mtml is not None:
        meter = PowerIntegral(f"MTML power, integrated (GPU {index})", lambda: _board_w(mtml, index))
        if meter.read_energy_j() is not None:
            return meter, ""
    slow = SlowIntegral(f"mthreads-gmi power, integrated (GPU {index})", lambda: ask_mthreads_gmi(index))
    if slow.sample() is not None:
        return slow, ""
    return None, "neither pymtml nor mthreads-gmi tells the card's power"


def ask_mthreads_gmi(index: int) -> float | None:
    """The card's watts as `mthreads-gmi` prints them; None for "N/A"."""
    draws = _DRAW.findall(ask(["mthreads-gmi", "-q", "-d", "POWER", "-i", str(index)]) or "")
    if not draws:
        return None
    return float(draws[index] if len(draws) > index else draws[0])


def _board_w(mtml: Any, index: int) -> float | None:
    try:
        return float(mtml.mtmlDeviceGetPowerUsage(mtml.mtmlLibraryInitDeviceByIndex(index))) / 1000
    except Exception:  # the module raises one class of its own for every code
        return None
