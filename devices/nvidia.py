"""NVIDIA cards through the driver's own library (NVML): which there are, what they draw. No torch."""

from __future__ import annotations

from typing import Any

from devices.device import Device
from devices.integral import PowerIntegral


def load_nvml() -> Any | None:
    """The `pynvml` module with NVML started, None where there is no NVIDIA driver."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def nvidia_devices(nvml: Any) -> list[Device]:
    """The cards the driver shows; one that does not answer is listed as not usable."""
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError:
        return []
    return [_device(nvml, index) for index in range(count)]


def dtypes_of(capability: tuple[int, int]) -> tuple[str, ...]:
    """Number formats that an NVIDIA card of this compute capability multiplies natively."""
    since = {"float32": (0, 0), "float16": (7, 0), "bfloat16": (8, 0), "int8": (7, 2), "float8": (8, 9)}
    return tuple(name for name, first in since.items() if capability >= first)


def features_of(capability: tuple[int, int], label: str) -> tuple[str, ...]:
    """What an NVIDIA card of this compute capability and name has (the GTX 16 series has no tensor cores)."""
    named = (f"compute capability {capability[0]}.{capability[1]}",)
    return (*named, "tensor cores") if capability >= (7, 0) and "GTX 16" not in label else named


def _device(nvml: Any, index: int) -> Device:
    label, memory, capability, uuid, reason = "NVIDIA GPU", None, (0, 0), "", ""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        label = _text(nvml.nvmlDeviceGetName(handle))
        uuid = _text(nvml.nvmlDeviceGetUUID(handle))
        memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
        capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))
    except nvml.NVMLError as error:
        reason = f"the driver does not answer for it: {error}"
    features = features_of(capability, label) if capability != (0, 0) else ()
    return Device(
        name=f"cuda:{index}",
        kind="cuda",
        vendor="NVIDIA",
        label=label,
        memory_bytes=memory,
        features=features,
        dtypes=dtypes_of(capability) if features else (),
        triton=capability >= (7, 0),
        reason=reason,
        usable=not reason,
        uuid=uuid,
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class EnergyCounter:
    """The card's own count of millijoules since the driver was loaded (Volta and later)."""

    sample_s: float | None = None

    def __init__(self, nvml: Any, handle: Any, index: int) -> None:
        self._nvml = nvml
        self._handle = handle
        self.source = f"NVML energy counter (GPU {index})"

    def read_energy_j(self) -> float | None:
        """Joules so far; None when the card no longer answers."""
        try:
            return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1000
        except self._nvml.NVMLError:
            return None


def power_integral(nvml: Any, handle: Any, index: int) -> PowerIntegral:
    """Joules added up from the card's momentary watts, for cards without a counter."""

    def read_power_w() -> float | None:
        try:
            return float(nvml.nvmlDeviceGetPowerUsage(handle)) / 1000
        except nvml.NVMLError:
            return None

    return PowerIntegral(f"NVML power, integrated (GPU {index})", read_power_w)


def nvml_meter(nvml: Any, device: Device) -> tuple[EnergyCounter | PowerIntegral | None, str]:
    """The best meter of a card, or None and the reason in words."""
    try:
        handle, index = _find(nvml, device)
    except nvml.NVMLError as error:
        return None, f"NVML does not know {device.name} ({error})"
    refusals = []
    for make in (EnergyCounter, power_integral):
        meter = make(nvml, handle, index)
        if meter.read_energy_j() is not None:
            return meter, ""
        refusals.append(meter.source)
    return None, f"{device.label} answers neither {refusals[0]} nor {refusals[1]}"


def _find(nvml: Any, device: Device) -> tuple[Any, int]:
    if device.uuid:
        uuid = device.uuid if device.uuid.startswith(("GPU-", "MIG-")) else f"GPU-{device.uuid}"
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        return handle, nvml.nvmlDeviceGetIndex(handle)
    index = int(device.name.partition(":")[2] or 0)
    return nvml.nvmlDeviceGetHandleByIndex(index), index
