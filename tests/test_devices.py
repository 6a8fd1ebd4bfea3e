"""Which devices are found, which is chosen, and what is said about the others."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from nvml_fake import FakeNvml

import devices
from devices import discovery
from devices.cpu import cpu_device
from devices.device import Device, DeviceError

CPU = Device("cpu", "cpu", "Intel", "Intel Xeon, 8 threads", 32 << 30, ("AVX2",), ("float32", "int8"), False)
CARD = Device("cuda:0", "cuda", "NVIDIA", "RTX 4090", 24 << 30, (), ("float32", "bfloat16"), True)
APPLE = Device("mps", "mps", "Apple", "Apple GPU (Metal)", 16 << 30, (), ("float32",), False)

SAPPHIRE_RAPIDS = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu sse2 avx avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8 avx_vnni

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: another
"""
GRAVITON = """\
processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm aes crc32 atomics asimdhp asimddp sve i8mm bf16
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""
OLD_LAPTOP = (
    "vendor_id\t: AuthenticAMD\nmodel name\t: AMD Athlon(tm) II X2 250\nflags\t\t: fpu sse sse2 sse4a\n"
)


def cpuinfo(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "vendor", "features", "dtypes"),
    [
        (
            SAPPHIRE_RAPIDS,
            "Intel",
            ("AVX2", "AVX-512", "VNNI", "BF16", "AMX", "AMX-INT8", "AMX-BF16"),
            ("float32", "bfloat16", "int8"),
        ),
        (GRAVITON, "Arm", ("BF16", "NEON", "DOTPROD", "I8MM", "SVE"), ("float32", "bfloat16", "int8")),
        (OLD_LAPTOP, "AMD", (), ("float32",)),
    ],
    ids=["Sapphire Rapids", "Graviton 3", "without AVX2"],
)
def test_processor_names_its_instruction_sets(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    vendor: str,
    features: tuple[str, ...],
    dtypes: tuple[str, ...],
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    device = cpu_device(cpuinfo(tmp_path, text), tmp_path)
    assert (device.vendor, device.features, device.dtypes) == (vendor, features, dtypes)


def test_processor_label_has_model_and_threads(tmp_path: Path) -> None:
    label = cpu_device(cpuinfo(tmp_path, SAPPHIRE_RAPIDS), tmp_path).label
    assert label.startswith("Intel(R) Xeon(R) Platinum 8480+, ")
    assert label.endswith(" threads")


def test_processor_without_cpuinfo_is_still_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr("platform.system", lambda: "Windows")
    device = cpu_device(tmp_path / "missing", tmp_path)
    assert device.features == ("NEON",)
    assert device.label


def test_mac_processor_is_read_from_sysctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"machdep.cpu.brand_string": "Apple M2", "hw.optional.arm.FEAT_DotProd": "1"}
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("devices.cpu._sysctl", lambda key: answers.get(key, ""))
    device = cpu_device(tmp_path / "missing", tmp_path)
    assert (device.vendor, device.features) == ("Apple", ("NEON", "DOTPROD"))
    assert device.label.startswith("Apple M2, ")


@pytest.mark.parametrize(("limit", "expected"), [("1073741824\n", 1 << 30), ("max\n", None)])
def test_memory_respects_a_container_limit(tmp_path: Path, limit: str, expected: int | None) -> None:
    (tmp_path / "memory.max").write_text(limit)
    unlimited = cpu_device(cgroup=tmp_path / "none").memory_bytes
    assert cpu_device(cgroup=tmp_path).memory_bytes == (expected or unlimited)


def test_auto_takes_the_accelerator_that_triton_serves() -> None:
    bigger = replace(CARD, name="cuda:1", memory_bytes=80 << 30)
    chosen = devices.select("auto", [CPU, CARD, bigger])
    assert chosen.name == "cuda:1"
    assert chosen.chosen
    assert "most memory" in chosen.reason


@pytest.mark.parametrize(
    "others",
    [[], [APPLE], [replace(CARD, usable=False, reason="broken")]],
    ids=["none", "no triton", "broken"],
)
def test_auto_falls_back_to_the_processor(others: list[Device]) -> None:
    assert devices.select("auto", [CPU, *others]).name == "cpu"


@pytest.mark.parametrize("name", ["mps", "cpu", "cuda", "cuda:0"])
def test_device_can_be_asked_for_by_name(name: str) -> None:
    chosen = devices.select(name, [CPU, CARD, APPLE])
    assert name in (chosen.name, chosen.kind)
    assert chosen.reason == "asked for by name"


def test_unknown_device_is_refused_with_what_there_is() -> None:
    with pytest.raises(DeviceError, match="'cuda:3'") as caught:
        devices.select("cuda:3", [CPU, APPLE])
    assert caught.value.hint == "Choose one of: auto, cpu, mps."


def test_unusable_device_is_refused_with_its_reason() -> None:
    with pytest.raises(DeviceError, match="driver too old"):
        devices.select("cuda", [CPU, replace(CARD, usable=False, reason="driver too old")])


def found(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml | None, version: str | None) -> list[Device]:
    monkeypatch.setattr(discovery, "load_nvml", lambda: nvml)
    monkeypatch.setattr(discovery, "_torch_version", lambda: version)
    monkeypatch.setattr(discovery, "triton_backends", lambda: frozenset({"nvidia"}))
    return devices.discover()


def test_without_torch_nvidia_cards_are_read_from_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, card = found(monkeypatch, FakeNvml(), "2.13.0")
    assert (card.name, card.vendor, card.label) == ("cuda:0", "NVIDIA", "NVIDIA H100 80GB HBM3")
    assert card.memory_bytes == 85_520_809_984
    assert card.features == ("compute capability 9.0", "tensor cores")
    assert "float8" in card.dtypes
    assert card.chosen
    assert not cpu.chosen
    assert cpu.reason == "cuda:0 is faster"


@pytest.mark.parametrize(("version", "words"), [("2.13.0+cpu", "without CUDA"), (None, "not installed")])
def test_card_that_torch_cannot_use_says_why(
    monkeypatch: pytest.MonkeyPatch, version: str | None, words: str
) -> None:
    cpu, card = found(monkeypatch, FakeNvml(), version)
    assert cpu.chosen
    assert not card.usable
    assert words in card.reason


def test_card_that_does_not_answer_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    nvml.lost = True
    _, card = found(monkeypatch, nvml, "2.13.0")
    assert not card.usable
    assert "GPU is lost" in card.reason


def test_without_nvidia_driver_there_is_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [device.name for device in found(monkeypatch, None, "2.13.0")] == ["cpu"]


@pytest.mark.parametrize(("cuda", "words"), [(None, "without CUDA"), ("13.0", "CUDA_VISIBLE_DEVICES")])
def test_card_that_only_the_driver_shows_is_not_usable(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, words: str
) -> None:
    torch = SimpleNamespace(__version__="2.13.0", version=SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(discovery, "load_nvml", FakeNvml)
    monkeypatch.setattr(discovery, "_import_torch", lambda: torch)
    monkeypatch.setattr(discovery, "torch_devices", lambda torch, triton: [])
    cpu, card = devices.discover(ask_torch=True)
    assert cpu.chosen
    assert not card.usable
    assert words in card.reason


def test_the_processor_is_had_by_name_without_torch() -> None:
    code = (
        "import sys, devices; devices.discover(); device = devices.select('cpu'); "
        "devices.open_meters(device); sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
