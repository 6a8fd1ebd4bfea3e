"""Huawei Ascend: watts from `npu-smi`."""

from __future__ import annotations

import re

from devices.commands import ask, physical_index
from devices.device import Device
from devices.integral import SlowIntegral

VISIBLE = "ASCEND_RT_VISIBLE_DEVICES"
# The same figure has another name on each generation: 310, 310P and 910, 950.
_POWER = re.compile(
    r"^\s*(?:NPU Real-time Power|Chip Power|Power Dissipation|Power)\s*\(W\)\s*:\s*([0-9.]+)\s*$",
    re.MULTILINE,
)


def ascend_meter(device: Device) -> tuple[SlowIntegral | None, str]:
    """The meter of an NPU, or None and the reason in words."""
    index = physical_index(device.name, VISIBLE)
    meter = SlowIntegral(f"npu-smi power, integrated (NPU {index})", lambda: ask_npu_smi(index))
    if meter.sample() is not None:
        return meter, ""
    return None, "npu-smi is not installed, or tells no power of this NPU"


def ask_npu_smi(index: int) -> float | None:
    """The NPU's watts as `npu-smi` prints them; None for "NA"."""
    reply = ask(["npu-smi", "info", "-t", "power", "-i", str(index)])
    found = _POWER.search(reply or "")
    return float(found[1]) if found else None
