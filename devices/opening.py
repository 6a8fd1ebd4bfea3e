"""The meter of a device: its own sensor and the processor's, by vendor."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devices.amd import amd_meter
from devices.apple import apple_meter
from devices.ascend import ascend_meter
from devices.device import Device
from devices.estimate import TdpEstimate
from devices.intel import intel_meter
from devices.metax import metax_meter
from devices.mthreads import mthreads_meter
from devices.nvidia import load_nvml, nvml_meter
from devices.power import Meter, PowerMeter
from devices.rapl import POWERCAP, rapl_meters

Opened = tuple[PowerMeter | None, str]
_CARDS: dict[str, Callable[[Device], Opened]] = {
    "AMD": amd_meter,
    "MetaX": metax_meter,
    "Huawei Ascend": ascend_meter,
    "Moore Threads": mthreads_meter,
    "Intel": intel_meter,
}


def open_meters(
    device: Device, powercap: Path = POWERCAP, nvml: Any | None = None, tdp_w: float | None = None
) -> Meter:
    """The meter of `device`: its own sensor and the processor's, or one that says why it cannot measure.

    With `tdp_w` a processor without a sensor is estimated, and named so.
    """
    if device.kind == "mps":
        return _alone(*apple_meter())
    processor, missing = _processor(powercap)
    if device.kind == "cpu":
        if not processor and tdp_w is not None:
            return Meter((TdpEstimate(tdp_w),), f"{missing}; estimated because it was switched on")
        return Meter(processor, missing)
    card, reason = _card(device, nvml)
    if card is None:
        return Meter((), reason)
    return Meter((card, *processor), f"without the processor: {missing}" if missing else "")


def _processor(powercap: Path) -> tuple[list[PowerMeter], str]:
    if platform.system() == "Darwin":
        meter, reason = apple_meter()
        return ([meter] if meter is not None else []), reason
    zones, reason = rapl_meters(powercap)
    return list(zones), reason


def _card(device: Device, nvml: Any | None) -> Opened:
    if device.vendor == "NVIDIA":
        nvml = nvml or load_nvml()
        if nvml is None:
            return None, "NVIDIA's management library (NVML) does not answer"
        return nvml_meter(nvml, device)
    open_card = _CARDS.get(device.vendor)
    if open_card is None:
        return None, f"no power meter for {device.vendor} devices here"
    return open_card(device)


def _alone(meter: PowerMeter | None, reason: str) -> Meter:
    return Meter((meter,) if meter is not None else (), reason)
