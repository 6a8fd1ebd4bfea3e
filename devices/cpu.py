"""The processor as a device: its name, memory and the instruction sets that matter for a language model."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import psutil

from devices.device import Device

CPUINFO = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")

# What people call an instruction set, and the kernel's flags that show it.
FEATURES = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx512_vnni", "avx_vnni"},
    "BF16": {"avx512_bf16", "bf16"},
    "AMX": {"amx_tile"},
    "AMX-INT8": {"amx_int8"},
    "AMX-BF16": {"amx_bf16"},
    "NEON": {"neon", "asimd"},
    "DOTPROD": {"asimddp"},
    "I8MM": {"i8mm"},
    "SVE": {"sve"},
}
_VENDORS = {
    "GenuineIntel": "Intel",
    "AuthenticAMD": "AMD",
    "HygonGenuine": "Hygon",
    "0x41": "Arm",
    "0x48": "HiSilicon",
    "0x61": "Apple",
    "0xc0": "Ampere",
}


def cpu_device(cpuinfo: Path = CPUINFO, cgroup: Path = CGROUP) -> Device:
    """Describe the processor this process runs on."""
    fields = _fields(cpuinfo)
    if not fields and platform.system() == "Darwin":
        fields = _mac_fields()
    flags = set((fields.get("flags") or fields.get("Features") or "").lower().split())
    if platform.machine().lower() in ("arm64", "aarch64"):
        flags.add("neon")  # part of every 64-bit Arm
    features = tuple(name for name, marks in FEATURES.items() if marks & flags)
    maker = fields.get("vendor_id") or fields.get("CPU implementer") or ""
    model = fields.get("model name") or platform.processor() or platform.machine()
    return Device(
        name="cpu",
        kind="cpu",
        vendor=_VENDORS.get(maker, maker or "unknown"),
        label=f"{model}, {_threads()} threads",
        memory_bytes=_memory_bytes(cgroup),
        features=features,
        dtypes=_dtypes(features),
        triton=False,
    )


def _dtypes(features: tuple[str, ...]) -> tuple[str, ...]:
    """Number formats the processor multiplies natively."""
    native = ["float32"]
    if {"BF16", "AMX-BF16"} & set(features):
        native.append("bfloat16")
    if {"AVX2", "VNNI", "AMX-INT8", "DOTPROD", "I8MM"} & set(features):
        native.append("int8")
    return tuple(native)


def _fields(cpuinfo: Path) -> dict[str, str]:
    """The first processor's block of /proc/cpuinfo; empty where there is none."""
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _mac_fields() -> dict[str, str]:
    keys = ("machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features")
    brand, *flags = (_sysctl(key) for key in keys)
    vendor = "0x61" if brand.startswith("Apple") else "GenuineIntel"
    if _sysctl("hw.optional.arm.FEAT_DotProd") == "1":
        flags.append("asimddp")
    if _sysctl("hw.optional.arm.FEAT_BF16") == "1":
        flags.append("bf16")
    return {"model name": brand, "vendor_id": vendor, "flags": " ".join(flags)}


def _sysctl(key: str) -> str:
    command = ["sysctl", "-n", key]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes(cgroup: Path) -> int:
    """Memory this process may use: the machine's, or a container's limit where that is lower."""
    total = psutil.virtual_memory().total
    try:
        limit = (cgroup / "memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total
