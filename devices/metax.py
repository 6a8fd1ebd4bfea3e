"""MetaX cards: watts from the vendor's Python module, else from `mx-smi`."""

from __future__ import annotations

import re
from typing import Any

from devices.commands import ask, index_of
from devices.device import Device
from devices.integral import PowerIntegral, SlowIntegral

# `mx-smi --show-board-power` ends each card's rows of voltage, current and power with a total.
_TOTAL = re.compile(r"\bTotal\b.*?([0-9]+(?:\.[0-9]+)?)\s*W\b")


def load_mxsml() -> Any | None:
    """The `pymxsml` module, started; None where it is missing or finds no driver."""
    try:
        import pymxsml

        pymxsml.mxSmlInit()
    except Exception:  # missing module, missing library, missing driver: each raises its own
        return None
    return pymxsml


def metax_meter(device: Device, mxsml: Any | None = None) -> tuple[PowerIntegral | SlowIntegral | None, str]:
    """The meter of a MetaX card, or None and the reason in words."""
    index = index_of(device.name)
    mxsml = mxsml or load_mxsml()
    if mxsml is not None:

        def read_power_w() -> float | None:
            try:
                ways = mxsml.mxSmlGetBoardPowerInfo(index)
            except Exception:  # the module raises one class of its own for every code
                return None
            return sum(int(way.power) for way in ways) / 1000 if ways else None

        meter = PowerIntegral(f"MXSML board power, integrated (GPU {index})", read_power_w)
        if meter.read_energy_j() is not None:
            return meter, ""
    slow = SlowIntegral(f"mx-smi board power, integrated (GPU {index})", lambda: ask_mx_smi(index))
    if slow.sample() is not None:
        return slow, ""
    return None, "neither pymxsml nor mx-smi tells the card's power"


def ask_mx_smi(index: int) -> float | None:
    """The card's watts as `mx-smi` prints them."""
    reply = ask(["mx-smi", "--show-board-power", "-i", str(index)])
    totals = _TOTAL.findall(reply or "")
    if not totals:
        return None
    return float(totals[index] if len(totals) > index else totals[0])
