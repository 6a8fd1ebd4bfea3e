"""What there is to compute on, and which of it to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

from devices.cpu import cpu_device
from devices.device import Device, DeviceError
from devices.nvidia import load_nvml, nvidia_devices
from devices.torch_devices import torch_devices, triton_backends

_WITHOUT_CUDA = "the installed PyTorch ({}) is the build without CUDA: install the one with it"


def discover(ask_torch: bool = False) -> list[Device]:
    """All devices, the processor first, with what `select("auto")` would take marked as chosen.

    Without `ask_torch` nothing imports PyTorch: only the processor and NVIDIA cards are seen, and whether
    PyTorch can use a card is told from its version alone.
    """
    return _marked(_find(ask_torch), "auto")


def select(name: str = "auto", devices: Sequence[Device] | None = None) -> Device:
    """The device to use: by name ("cpu", "cuda:1", "cuda" for the first), or the best one ("auto").

    Asks PyTorch what it can use unless `devices` is given or the processor is asked for.
    """
    if devices is None:
        devices = [cpu_device()] if name == "cpu" else _find(ask_torch=True)
    return next(device for device in _marked(devices, name) if device.chosen)


def mark(devices: Sequence[Device], name: str) -> list[Device]:
    """The same devices with the one that `select(name)` takes marked as chosen, reasons in words."""
    plain = [replace(d, chosen=False, reason="" if d.usable else d.reason) for d in devices]
    return _marked(plain, name)


def _find(ask_torch: bool) -> list[Device]:
    cards = _driver_cards()
    if not ask_torch:
        return [cpu_device(), *(_judged(card, _torch_version()) for card in cards)]
    torch = _import_torch()
    if torch is None:
        return [cpu_device(), *(_judged(card, None) for card in cards)]
    found = torch_devices(torch, triton_backends())
    if not any(device.kind == "cuda" for device in found):
        found += [_unseen(card, torch) for card in cards]
    return [cpu_device(), *found]


def _driver_cards() -> list[Device]:
    nvml = load_nvml()
    return [] if nvml is None else nvidia_devices(nvml)


def _judged(card: Device, torch_version: str | None) -> Device:
    """A card that only the driver has shown, with what the installed PyTorch makes of it."""
    if not card.usable:
        return card
    if torch_version is None:
        return replace(card, usable=False, reason="PyTorch is not installed")
    if torch_version.endswith("+cpu"):
        return replace(card, usable=False, reason=_WITHOUT_CUDA.format(torch_version))
    return replace(card, triton=card.triton and "nvidia" in triton_backends())


def _unseen(card: Device, torch: Any) -> Device:
    """A card that the driver shows and PyTorch does not."""
    if not card.usable:
        return card
    if torch.version.cuda is None:
        return replace(card, usable=False, reason=_WITHOUT_CUDA.format(torch.__version__))
    return replace(
        card, usable=False, reason="PyTorch does not see it: check CUDA_VISIBLE_DEVICES and the driver"
    )


def _torch_version() -> str | None:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _import_torch() -> Any | None:
    try:
        import torch
    except ImportError:
        return None
    return torch


def _marked(devices: Sequence[Device], name: str) -> list[Device]:
    """The devices with the chosen one marked and each one's reason in words."""
    chosen = _best(devices) if name == "auto" else _named(devices, name)
    return [_explained(device, chosen, name) for device in devices]


def _best(devices: Sequence[Device]) -> Device:
    """The accelerator with Triton (the fast kernels need it) and most memory, else the processor."""
    fast = [device for device in devices if device.usable and device.triton]
    return max(fast, key=lambda device: device.memory_bytes or 0, default=_named(devices, "cpu"))


def _named(devices: Sequence[Device], name: str) -> Device:
    matches = [device for device in devices if name in (device.name, device.kind)]
    if not matches:
        there = ", ".join(device.name for device in devices if device.usable)
        raise DeviceError(f"There is no device {name!r} here.", f"Choose one of: auto, {there}.")
    for device in matches:
        if device.usable:
            return device
    raise DeviceError(f"Device {name!r} cannot be used: {matches[0].reason}.", "Choose auto or cpu instead.")


def _explained(device: Device, chosen: Device, name: str) -> Device:
    if device is chosen:
        return replace(device, chosen=True, reason=_why(device, name))
    if not device.usable:
        return device
    if name != "auto":
        return replace(device, reason=f"{chosen.name} was asked for")
    if device.triton:
        return replace(device, reason=f"{chosen.name} has at least as much memory")
    if device.kind == "cpu":
        return replace(device, reason=f"{chosen.name} is faster")
    return replace(
        device, reason="no Triton for it here, so Engram's fast kernels cannot run on it; ask by name"
    )


def _why(device: Device, name: str) -> str:
    if name != "auto":
        return "asked for by name"
    if device.kind == "cpu":
        return "no accelerator that Engram's fast kernels can use was found"
    return "the accelerator with most memory that Engram's fast kernels can use"
