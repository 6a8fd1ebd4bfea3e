"""Intel graphics: the driver's energy counter, else watts from `xpu-smi`."""

from __future__ import annotations

import csv
from pathlib import Path

from devices.commands import ask, index_of
from devices.device import Device
from devices.hwmon import HwmonEnergy, hwmon_meter
from devices.integral import PowerIntegral, SlowIntegral

_POWER, _DEVICE = "GPU Power (W)", "DeviceId"


def intel_meter(
    device: Device, hwmon: Path | None = None
) -> tuple[HwmonEnergy | PowerIntegral | SlowIntegral | None, str]:
    """The meter of an Intel card, or None and the reason in words."""
    index = index_of(device.name)
    shown = hwmon_meter(("xe", "i915"), index, hwmon)
    if shown is not None:
        return shown, ""
    meter = SlowIntegral(f"xpu-smi power, integrated (GPU {index})", lambda: ask_xpu_smi(index), sample_s=2.0)
    if meter.sample() is not None:
        return meter, ""
    return None, "the driver shows no energy counter, and xpu-smi is not installed or tells no power"


def ask_xpu_smi(index: int) -> float | None:
    """The card's watts as one row of `xpu-smi dump` has them; None for "N/A"."""
    reply = ask(["xpu-smi", "dump", "-d", str(index), "-m", "1", "-n", "1"])
    rows = csv.DictReader((reply or "").splitlines(), skipinitialspace=True)
    for row in rows:
        if (row.get(_DEVICE) or "").strip() == str(index):
            return _watts(row.get(_POWER) or "")
    return None


def _watts(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
