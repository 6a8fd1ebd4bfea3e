"""Where a model computes: the device, the kernels that run there, and what to call them."""

import importlib
import importlib.util
import os
from dataclasses import dataclass

import torch

from engine.errors import DeviceError
from engine.host import choose_ops, describe_cpu, prepare_cpu
from engine.window_cache import SEGMENT
from kernels.ops import Ops, TorchOps

DEVICE_SEGMENT = 16_384
"""Tokens an accelerator reads at a time: long enough that launching kernels takes less time than they do."""

ADD_ONS = {"npu": "torch_npu", "musa": "torch_musa"}
"""Packages that teach PyTorch a device."""

TRITON_DEVICES = ("cuda", "xpu", "npu", "musa")


@dataclass(frozen=True, slots=True)
class Placement:
    """A device with its operations; `note` says why they are not the fastest there are. `segment` is how many
    tokens are read at a time and share one count of positions.
    """

    device: torch.device
    ops: Ops
    note: str
    segment: int

    def describe(self) -> str:
        """For people: '(note), torch 2.13 AVX512, 2 threads' or the accelerator's name."""
        note = f" ({self.note})" if self.note else ""
        if self.device.type == "cpu":
            return f"{self.ops.name} kernels{note}, {describe_cpu()}"
        label = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)
        return f"{self.ops.name} kernels{note}, torch {torch.__version__} on {label}"


def place(name: str, dtype: torch.dtype, kernels: str = "auto") -> Placement:
    """The placement on the device of that name ("auto": see `automatic`). DeviceError if it is not there.

    `kernels` "auto" takes the fastest: compiled C++ on the processor, Triton on accelerators, plain torch
    where those cannot be had; "torch", "compiled" and "triton" insist.
    """
    device = torch.device("cpu") if name == "cpu" else find_device(name)
    if device.type == "cpu":
        prepare_cpu()
    ops, note = _choose(device, dtype, kernels)
    return Placement(device, ops, note, SEGMENT if device.type == "cpu" else DEVICE_SEGMENT)


def automatic() -> str:
    """The first CUDA device if PyTorch sees one and Triton is installed, else the processor."""
    return "cuda" if torch.cuda.is_available() and importlib.util.find_spec("triton") else "cpu"


def find_device(name: str) -> torch.device:
    """The torch device of that name; DeviceError says what is missing."""
    kind = name.partition(":")[0]
    if kind in ADD_ONS:  # torch knows the name only once the package is there
        _import_add_on(ADD_ONS[kind], name)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"{name!r} is not a device", "Use cpu, cuda, cuda:1, xpu, npu, musa or mps.", "unknown_device"
        ) from error
    if device.type == "cpu":
        return device
    module = getattr(torch, device.type, None)
    if module is None or not hasattr(module, "is_available") or not module.is_available():
        raise DeviceError(
            f"device {name!r} is not there: {_missing(device.type)}", "Use --device cpu.", "unknown_device"
        )
    count = module.device_count()
    if (device.index or 0) >= count:
        raise DeviceError(
            f"there is no device {name!r}: PyTorch sees {count} of that kind, numbered from 0",
            f"Use {device.type}.", "unknown_device",
        )  # fmt: skip
    return device


def device_dtype(name: str) -> str:
    """The attention dtype "auto" stands for on an accelerator: what its matrix units multiply."""
    return "bfloat16" if name == "auto" else name


def _choose(device: torch.device, dtype: torch.dtype, kernels: str) -> tuple[Ops, str]:
    if kernels == "torch":
        return TorchOps(), "asked for"
    if kernels == "triton":
        return _triton(device, dtype), ""
    if device.type == "cpu":
        ops, note = choose_ops()
        if kernels == "compiled" and isinstance(ops, TorchOps) and ops.name == TorchOps.name:
            raise DeviceError(f"the compiled kernels cannot be had: {note}", "Use kernels auto.")
        return ops, note
    if kernels != "auto":
        raise DeviceError(f"there are no {kernels!r} kernels for {device}", "Use auto, torch or triton.")
    if os.environ.get("ENGRAM_TRITON") == "0":
        return TorchOps(), "Triton kernels switched off"
    try:
        return _triton(device, dtype), ""
    except DeviceError as error:
        return TorchOps(), error.message


def _triton(device: torch.device, dtype: torch.dtype) -> Ops:
    """Triton's operations, tried out on the device; DeviceError with the reason where they cannot run."""
    hint = "Use kernels auto or torch, or --device cpu."
    if importlib.util.find_spec("triton") is None:
        raise DeviceError("Triton is not installed", hint)
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise DeviceError("Triton has no compiler for the processor", hint)
    if device.type not in (*TRITON_DEVICES, "cpu"):
        raise DeviceError(f"Triton has no compiler for {device.type}", hint)
    from kernels.triton_ops import TritonOps, self_test

    try:
        self_test(device)
    except Exception as error:  # a missing C compiler, driver or vendor plug-in each fail in their own way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DeviceError(f"Triton kernels do not run on {device}: {reason}", hint) from error
    return TritonOps(dtype)


def _import_add_on(package: str, name: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise DeviceError(
            f"device {name!r} needs the package {package}, which cannot be imported: {error}",
            f"Install {package} for torch {torch.__version__}, or use --device cpu.", "unknown_device",
        ) from error  # fmt: skip


def _missing(kind: str) -> str:
    """Why PyTorch has no device of this kind."""
    if kind == "cuda" and torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return f"the installed PyTorch ({torch.__version__}) is built without CUDA"
    if kind == "cuda":
        return "PyTorch finds no CUDA device (driver, CUDA_VISIBLE_DEVICES)"
    return f"the installed PyTorch ({torch.__version__}) finds no {kind} device"
