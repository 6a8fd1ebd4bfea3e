"""What holds for every test: a home folder of its own, no network, one thread, Triton in its interpreter."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

# Read by torch and Triton when they are imported, so set before any test module imports them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["LANGSMITH_TRACING"] = "false"
if not Path("/proc/driver/nvidia").exists() and shutil.which("nvidia-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")


# Triton has no build for other systems; its kernels are then out of use, not broken.
collect_ignore = (
    []
    if importlib.util.find_spec("triton")
    else [
        "test_engine_placement.py",
        "test_gpu_bench.py",
        "test_kernels_delta_triton.py",
        "test_kernels_triton.py",
    ]
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the person's own home folder, database or settings."""
    monkeypatch.setenv("ENGRAM_HOME", str(tmp_path / "engram-home"))
    for name in ("ENGRAM_DATABASE_URL", "ENGRAM_DEVICE", "ENGRAM_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections of the test process reach this machine only; a test that needs more is wrong."""
    connect = socket.socket.connect

    def local_only(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(str(address[0])):
            raise RuntimeError(f"a test tried to connect to {address[0]}")
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
