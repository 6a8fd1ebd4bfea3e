"""Accelerators as PyTorch and the vendors' add-ons describe them, with stand-ins for those modules."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from devices.torch_devices import torch_devices, triton_backends

ALL = frozenset({"nvidia", "amd", "metax", "ascend", "mthreads", "intel"})


def accelerator(*labels: str, memory: int = 16 << 30, **more: object) -> SimpleNamespace:
    """A module like torch.cuda, torch.xpu, torch.npu with one device a label."""

    def properties(index: int) -> SimpleNamespace:
        return SimpleNamespace(name=labels[index], total_memory=memory, **more)

    return SimpleNamespace(
        is_available=lambda: bool(labels),
        device_count=lambda: len(labels),
        get_device_name=lambda index: labels[index],
        get_device_properties=properties,
    )


def fake_torch(version: str = "2.13.0", hip: str | None = None, **modules: Any) -> SimpleNamespace:
    absent = {"cuda": accelerator(), "xpu": accelerator()}
    backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: "mps" in modules))
    version_module = SimpleNamespace(hip=hip, cuda=None)
    return SimpleNamespace(
        __version__=version, version=version_module, backends=backends, **(absent | modules)
    )


def test_nvidia_card() -> None:
    torch = fake_torch(cuda=accelerator("NVIDIA H200", memory=141 << 30, major=9, minor=0, uuid="1234-5678"))
    (card,) = torch_devices(torch, ALL)
    assert (card.name, card.kind, card.vendor, card.label) == ("cuda:0", "cuda", "NVIDIA", "NVIDIA H200")
    assert card.features == ("compute capability 9.0", "tensor cores")
    assert card.memory_bytes == 141 << 30
    assert card.uuid == "1234-5678"
    assert card.triton


def test_old_nvidia_card_has_no_triton_and_no_bfloat16() -> None:
    (card,) = torch_devices(fake_torch(cuda=accelerator("GTX 1080", major=6, minor=1)), ALL)
    assert not card.triton
    assert card.dtypes == ("float32",)


def test_amd_card_is_told_by_the_build() -> None:
    card_module = accelerator("AMD Instinct MI300X", major=9, minor=4, gcnArchName="gfx942:sramecc+:xnack-")
    (card,) = torch_devices(fake_torch("2.13.0+rocm7.1", hip="7.1", cuda=card_module), ALL)
    assert (card.kind, card.vendor, card.features) == ("cuda", "AMD", ("gfx942", "matrix cores"))


@pytest.mark.parametrize(
    ("label", "version"),
    [("MetaX C500", "2.6.0"), ("Device 4000", "2.6.0+metax3.0.0.4")],
    ids=["name", "build"],
)
def test_metax_card_presents_itself_as_cuda(label: str, version: str) -> None:
    (card,) = torch_devices(fake_torch(version, cuda=accelerator(label, major=8, minor=0)), ALL)
    assert (card.name, card.kind, card.vendor) == ("cuda:0", "cuda", "MetaX")


@pytest.mark.parametrize(
    ("kind", "package", "vendor", "label"),
    [
        ("npu", "torch_npu", "Huawei Ascend", "Ascend910B3"),
        ("musa", "torch_musa", "Moore Threads", "MTT S4000"),
    ],
)
def test_add_on_devices(
    monkeypatch: pytest.MonkeyPatch, kind: str, package: str, vendor: str, label: str
) -> None:
    monkeypatch.setitem(sys.modules, package, ModuleType(package))
    torch = fake_torch(**{kind: accelerator(label, label)})
    first, second = torch_devices(torch, frozenset())
    assert (first.name, first.kind, first.vendor, first.label) == (f"{kind}:0", kind, vendor, label)
    assert second.name == f"{kind}:1"
    assert not first.triton


def test_intel_graphics() -> None:
    module = accelerator("Intel(R) Arc(TM) B580", has_subgroup_matrix_multiply_accumulate=1)
    (card,) = torch_devices(fake_torch(xpu=module), ALL)
    assert (card.name, card.vendor, card.triton, card.features) == ("xpu:0", "Intel", True, ("XMX",))


@pytest.mark.parametrize(("label", "has"), [("NVIDIA T4", True), ("NVIDIA GeForce GTX 1660", False)])
def test_tensor_cores_of_turing_are_told_by_the_name(label: str, has: bool) -> None:
    (card,) = torch_devices(fake_torch(cuda=accelerator(label, major=7, minor=5)), ALL)
    assert ("tensor cores" in card.features) is has


def test_apple_graphics() -> None:
    (card,) = torch_devices(fake_torch(mps=SimpleNamespace(recommended_max_memory=lambda: 12 << 30)), ALL)
    assert (card.name, card.vendor, card.memory_bytes, card.triton) == ("mps", "Apple", 12 << 30, False)


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert torch_devices(fake_torch(), ALL) == []


def failing(error: Exception) -> Callable[[], bool]:
    def is_available() -> bool:
        raise error

    return is_available


def test_broken_driver_is_listed_and_does_not_stop_the_others() -> None:
    broken = SimpleNamespace(is_available=failing(RuntimeError("CUDA unknown error\nmore lines")))
    first, second = torch_devices(fake_torch(cuda=broken, xpu=accelerator("Arc")), ALL)
    assert not first.usable
    assert first.reason == "it could not be started: CUDA unknown error"
    assert second.name == "xpu:0"


def test_warning_of_an_old_driver_becomes_the_reason() -> None:
    def is_available() -> bool:
        warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    (card,) = torch_devices(fake_torch(cuda=SimpleNamespace(is_available=is_available)), ALL)
    assert not card.usable
    assert "too old" in card.reason


def test_broken_add_on_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch_npu.py").write_text("raise ImportError('libascendcl.so: cannot open shared object')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch_npu", raising=False)
    (card,) = torch_devices(fake_torch(), ALL)
    assert (card.name, card.usable) == ("npu", False)
    assert "libascendcl.so" in card.reason


def test_triton_backends_are_read_without_importing_triton(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for vendor in ("nvidia", "intel"):
        (tmp_path / "triton" / "backends" / vendor).mkdir(parents=True)
        (tmp_path / "triton" / "backends" / vendor / "compiler.py").touch()
    (tmp_path / "triton" / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert triton_backends() == {"nvidia", "intel"}
