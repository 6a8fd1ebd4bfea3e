"""NVIDIA cards through the driver's own library (NVML): which there are, what they draw. No torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from devices.device import Device

SAMPLE_S = 0.1


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
    features = (f"compute capability {capability[0]}.{capability[1]}",) if capability != (0, 0) else ()
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


class PowerIntegral:
    """Joules from the card's momentary watts, added up between readings, for cards without a counter."""

    sample_s: float | None = SAMPLE_S

    def __init__(
        self, nvml: Any, handle: Any, index: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._nvml = nvml
        self._handle = handle
        self._clock = clock
        self._lock = threading.Lock()
        self._last: tuple[float, float] | None = None
        self._total_j = 0.0
        self.source = f"NVML power, integrated (GPU {index})"

    def read_energy_j(self) -> float | None:
        """Joules so far, right if read every `sample_s` seconds; None when the card no longer answers."""
        with self._lock:
            try:
                power_w = self._nvml.nvmlDeviceGetPowerUsage(self._handle) / 1000
            except self._nvml.NVMLError:
                self._last = None
                return None
            now = self._clock()
            if self._last is not None:
                then, before_w = self._last
                self._total_j += (power_w + before_w) / 2 * (now - then)
            self._last = now, power_w
            return self._total_j


def nvml_meter(nvml: Any, device: Device) -> tuple[EnergyCounter | PowerIntegral | None, str]:
    """The best meter of a card, or None and the reason in words."""
    try:
        handle, index = _find(nvml, device)
    except nvml.NVMLError as error:
        return None, f"NVML does not know {device.name} ({error})"
    refusals = []
    for kind in (EnergyCounter, PowerIntegral):
        meter = kind(nvml, handle, index)
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
