"""Accelerators as PyTorch sees them: CUDA and its look-alikes, Ascend, Moore Threads, Intel, Apple."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devices.device import Device
from devices.nvidia import dtypes_of, features_of

_DTYPES = ("float32", "float16", "bfloat16", "int8")

# kind: (package that adds it to PyTorch, vendor, Triton's name for it, number formats)
_OTHERS: dict[str, tuple[str | None, str, str, tuple[str, ...]]] = {
    "npu": ("torch_npu", "Huawei Ascend", "ascend", _DTYPES),
    "musa": ("torch_musa", "Moore Threads", "mthreads", _DTYPES[:3]),
    "xpu": (None, "Intel", "intel", _DTYPES),
    "mps": (None, "Apple", "", _DTYPES[:3]),
}
_FEATURES = {"npu": ("cube units",), "xpu": (), "musa": ()}
_MATRIX_CORES = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
_TRITON_NAMES = {"NVIDIA": "nvidia", "AMD": "amd", "MetaX": "metax"}


def torch_devices(torch: Any, triton: frozenset[str]) -> list[Device]:
    """Every accelerator that this PyTorch can name; one that is broken is listed with the reason."""
    found = _guarded("cuda", "GPU", _cuda_devices, torch, triton)
    for kind, (package, vendor, backend, dtypes) in _OTHERS.items():
        found += _guarded(
            kind, vendor, _other_devices, torch, kind, package, vendor, dtypes, backend in triton
        )
    return found


def triton_backends() -> frozenset[str]:
    """The vendors that the installed Triton has a compiler for, told without importing it."""
    spec = importlib.util.find_spec("triton")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    folder = Path(next(iter(spec.submodule_search_locations))) / "backends"
    return frozenset(path.parent.name for path in folder.glob("*/compiler.py"))


def _guarded(kind: str, vendor: str, find: Callable[..., list[Device]], *arguments: Any) -> list[Device]:
    """Drivers fail in many ways; none of them may keep the program from running on the processor."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = find(*arguments)
        except Exception as error:
            return [_broken(kind, vendor, f"it could not be started: {_first_line(error)}")]
    if not found and said and kind == "cuda":
        return [_broken(kind, vendor, _first_line(said[-1].message))]
    return found


def _first_line(message: object) -> str:
    return (str(message).strip() or type(message).__name__).splitlines()[0]


def _broken(kind: str, vendor: str, reason: str) -> Device:
    return Device(kind, kind, vendor, vendor, None, (), (), triton=False, reason=reason, usable=False)


def _cuda_devices(torch: Any, triton: frozenset[str]) -> list[Device]:
    if not torch.cuda.is_available():
        return []
    return [_cuda_device(torch, index, triton) for index in range(torch.cuda.device_count())]


def _cuda_device(torch: Any, index: int, triton: frozenset[str]) -> Device:
    properties = torch.cuda.get_device_properties(index)
    vendor = _cuda_vendor(torch, properties.name)
    capability = (int(properties.major), int(properties.minor))
    if vendor == "NVIDIA":
        dtypes, features = dtypes_of(capability), features_of(capability, properties.name)
    else:
        dtypes, features = _DTYPES, _architecture(getattr(properties, "gcnArchName", ""))
    return Device(
        name=f"cuda:{index}",
        kind="cuda",
        vendor=vendor,
        label=properties.name,
        memory_bytes=int(properties.total_memory),
        features=features,
        dtypes=dtypes,
        triton=_TRITON_NAMES[vendor] in triton and (vendor != "NVIDIA" or capability >= (7, 0)),
        uuid=str(getattr(properties, "uuid", "")),
    )


def _architecture(name: str) -> tuple[str, ...]:
    """An AMD architecture, and whether it multiplies matrices in hardware."""
    if not name:
        return ()
    short = name.partition(":")[0]
    return (short, "matrix cores") if short.startswith(_MATRIX_CORES) else (short,)


def _cuda_vendor(torch: Any, label: str) -> str:
    """MetaX and AMD present themselves as CUDA; the name and the build tell them apart."""
    marks = f"{label} {torch.__version__}".lower()
    if "metax" in marks or "maca" in marks:
        return "MetaX"
    return "AMD" if getattr(torch.version, "hip", None) else "NVIDIA"


def _other_devices(
    torch: Any, kind: str, package: str | None, vendor: str, dtypes: tuple[str, ...], triton: bool
) -> list[Device]:
    if package is not None and not _imported(package):
        return []
    if kind == "mps":
        return _apple_device(torch, vendor, dtypes)
    module = getattr(torch, kind, None)
    if module is None or not module.is_available():
        return []
    return [
        Device(
            name=f"{kind}:{index}",
            kind=kind,
            vendor=vendor,
            label=module.get_device_name(index),
            memory_bytes=int(module.get_device_properties(index).total_memory),
            features=_FEATURES[kind] + _matrix_engines(module.get_device_properties(index)),
            dtypes=dtypes,
            triton=triton,
        )
        for index in range(module.device_count())
    ]


def _matrix_engines(properties: Any) -> tuple[str, ...]:
    """Intel's matrix engines, where the driver tells of them."""
    return ("XMX",) if getattr(properties, "has_subgroup_matrix_multiply_accumulate", 0) else ()


def _apple_device(torch: Any, vendor: str, dtypes: tuple[str, ...]) -> list[Device]:
    if not torch.backends.mps.is_available():
        return []
    memory = int(torch.mps.recommended_max_memory())
    return [Device("mps", "mps", vendor, "Apple GPU (Metal)", memory, (), dtypes, triton=False)]


def _imported(package: str) -> bool:
    """Import a vendor's add-on to PyTorch; False where it is not installed. A broken one raises."""
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name == package:
            return False
        raise
    return True
