"""AMD cards: AMD SMI's energy counter or watts, else what the kernel's driver shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devices.commands import physical_index
from devices.device import Device
from devices.hwmon import HwmonEnergy, hwmon_meter
from devices.integral import PowerIntegral

VISIBLE = "HIP_VISIBLE_DEVICES"
_UNKNOWN_W = 0xFFFF  # what AMD SMI answers for "not supported"


class AmdEnergy:
    """A card's own energy counter."""

    sample_s: float | None = None

    def __init__(self, amdsmi: Any, handle: Any, index: int) -> None:
        self._amdsmi = amdsmi
        self._handle = handle
        self.source = f"AMD SMI energy counter (GPU {index})"

    def read_energy_j(self) -> float | None:
        """Joules so far; None when the card does not answer."""
        try:
            told = self._amdsmi.amdsmi_get_energy_count(self._handle)
        except self._amdsmi.AmdSmiException:
            return None
        # The key was called "power" before AMD SMI 6.2.1; the resolution is in microjoules.
        ticks = told.get("energy_accumulator", told.get("power"))
        resolution = told.get("counter_resolution")
        numbers = isinstance(ticks, int | float) and isinstance(resolution, int | float)
        return ticks * resolution / 1e6 if numbers and ticks > 0 else None


def load_amdsmi() -> Any | None:
    """The `amdsmi` module of ROCm, started; None where it is missing or finds no driver."""
    try:
        import amdsmi
    except Exception:  # it loads a library that may be missing, and raises whatever ctypes does
        return None
    try:
        amdsmi.amdsmi_init()
    except amdsmi.AmdSmiException:
        return None
    return amdsmi


def amd_meter(
    device: Device, amdsmi: Any | None = None, hwmon: Path | None = None
) -> tuple[AmdEnergy | PowerIntegral | HwmonEnergy | None, str]:
    """The best meter of an AMD card, or None and the reason in words."""
    index = physical_index(device.name, VISIBLE)
    amdsmi = amdsmi or load_amdsmi()
    if amdsmi is not None:
        meter = _smi_meter(amdsmi, index)
        if meter is not None:
            return meter, ""
    shown = hwmon_meter(("amdgpu",), index, hwmon)
    if shown is not None:
        return shown, ""
    smi = "AMD SMI is not installed" if amdsmi is None else f"AMD SMI tells no power of {device.label}"
    return None, f"{smi}, and the driver shows none either"


def _smi_meter(amdsmi: Any, index: int) -> AmdEnergy | PowerIntegral | None:
    try:
        handle = amdsmi.amdsmi_get_processor_handles()[index]
    except (amdsmi.AmdSmiException, IndexError):
        return None
    counter = AmdEnergy(amdsmi, handle, index)
    if counter.read_energy_j() is not None:
        return counter

    def read_power_w() -> float | None:
        try:
            told = amdsmi.amdsmi_get_power_info(handle)
        except amdsmi.AmdSmiException:
            return None
        values = (told.get(f"{kind}_socket_power") for kind in ("current", "average"))
        return next((float(v) for v in values if isinstance(v, int | float) and v != _UNKNOWN_W), None)

    meter = PowerIntegral(f"AMD SMI power, integrated (GPU {index})", read_power_w)
    return meter if meter.read_energy_j() is not None else None
