"""The record of one device, and what is wrong when a person asks for one that is not there."""

from __future__ import annotations

from dataclasses import dataclass


class DeviceError(Exception):
    """A device that cannot be had: what was asked for, and what there is instead."""

    code = "device_error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Device:
    """One place to compute: what it is, what it can do, and why it was or was not chosen."""

    name: str  # as PyTorch and --device spell it: "cpu", "cuda:0", "npu:0", "mps"
    kind: str  # "cpu", "cuda" (NVIDIA, AMD, MetaX), "npu", "musa", "xpu", "mps"
    vendor: str
    label: str
    memory_bytes: int | None
    features: tuple[str, ...]
    dtypes: tuple[str, ...]
    triton: bool
    chosen: bool = False
    reason: str = ""
    usable: bool = True
    uuid: str = ""  # NVIDIA's own identifier, because its numbering and PyTorch's may differ
