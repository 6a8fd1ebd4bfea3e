"""Vendors' meters against what their tools really print and their modules really return."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from devices import open_meters
from devices.amd import amd_meter
from devices.apple import apple_meter, ask_ioreg
from devices.ascend import ascend_meter, ask_npu_smi
from devices.commands import ask
from devices.device import Device
from devices.hwmon import hwmon_meter
from devices.intel import ask_xpu_smi, intel_meter
from devices.metax import ask_mx_smi, metax_meter
from devices.mthreads import ask_mthreads_gmi, mthreads_meter

CARD = Device("cuda:0", "cuda", "AMD", "AMD Instinct MI300X", None, (), (), True)
ASCEND_910 = """
\tNPU ID                         : 0
\tChip Count                     : 1

\tNPU Real-time Power(W)         : 103.5
\tChip ID                        : 0
"""
ASCEND_310 = "\tNPU ID                         : 0\n\tPower Dissipation(W)           : 12.8\n"
ASCEND_NA = "\tNPU ID                         : 0\n\tPower Dissipation(W)           : NA\n"
METAX_TWO = """
mx-smi  version: 2.2.9

=================== MetaX System Management Interface Log ===================
Attached GPUs                                     : 2
GPU#0  MXC500  0000:1b:00.0
    Board Power
        12VIN_8PIN                                : 12084 mV 3291 mA 39.8 W
        3V3                                       : 3301 mV 304 mA 1.0 W
        Total                                     : 58.7 W
GPU#1  MXC500  0000:3b:00.0
    Board Power
        Total                                     : 471.2 W
"""
XPU = """Timestamp, DeviceId, GPU Power (W)
06:14:46.000,    0, 14.61
"""
XPU_NA = "Timestamp, DeviceId, GPU Power (W)\n06:14:46.000,    0, N/A\n"
GMI_TWO = """
----------------------------------------------------------------
    mthreads-gmi:1.14.0            Driver Version:2.7.0
----------------------------------------------------------------
GPU0 00000000:3b:00.0
    Power Readings
        Power Draw                                 :  109.51W
GPU1 00000000:5e:00.0
    Power Readings
        Power Draw                                 :  44.3 W
"""
GMI_NA = "GPU0 00000000:01:00.0\n    Power Readings\n        Power Draw      :  N/A\n"
MACBOOK = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><array><dict>
<key>Voltage</key><integer>12500</integer>
<key>PowerTelemetryData</key><dict>
<key>SystemLoad</key><integer>17126</integer><key>SystemPowerIn</key><integer>17126</integer>
</dict></dict></array></plist>
"""


def tool(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, prints: str) -> None:
    """Puts a program of this name on the path that prints this, whatever it is asked."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nprint({prints!r})\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("text", "watts"), [(ASCEND_910, 103.5), (ASCEND_310, 12.8), (ASCEND_NA, None), ("", None)]
)
def test_npu_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, watts: float | None) -> None:
    tool(monkeypatch, tmp_path, "npu-smi", text)
    assert ask_npu_smi(0) == watts


@pytest.mark.parametrize(("index", "watts"), [(0, 58.7), (1, 471.2)])
def test_mx_smi_takes_the_total_of_the_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, index: int, watts: float
) -> None:
    tool(monkeypatch, tmp_path, "mx-smi", METAX_TWO)
    assert ask_mx_smi(index) == watts


@pytest.mark.parametrize(
    ("text", "index", "watts"),
    [(GMI_TWO, 0, 109.51), (GMI_TWO, 1, 44.3), (GMI_NA, 0, None), ("Error: no devices", 0, None)],
)
def test_mthreads_gmi(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, index: int, watts: float | None
) -> None:
    tool(monkeypatch, tmp_path, "mthreads-gmi", text)
    assert ask_mthreads_gmi(index) == watts


@pytest.mark.parametrize(("text", "watts"), [(XPU, 14.61), (XPU_NA, None), ("Error: device not found", None)])
def test_xpu_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, watts: float | None) -> None:
    tool(monkeypatch, tmp_path, "xpu-smi", text)
    assert ask_xpu_smi(0) == watts


@pytest.mark.parametrize(
    ("text", "watts"), [(MACBOOK, 17.126), ("<plist><array/></plist>", None), ("", None)]
)
def test_ioreg(monkeypatch: pytest.MonkeyPatch, text: str, watts: float | None) -> None:
    monkeypatch.setattr("devices.apple.ask", lambda command: text)
    assert ask_ioreg() == watts


def test_a_tool_that_fails_or_is_missing_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool(monkeypatch, tmp_path, "npu-smi", "x")
    (tmp_path / "npu-smi").write_text(f"#!{sys.executable}\nraise SystemExit(255)\n")
    assert ask(["npu-smi", "info"]) is None
    assert ask(["mx-smi"]) is None


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (replace(CARD, name="npu:0", kind="npu", vendor="Huawei Ascend"), "npu-smi"),
        (replace(CARD, vendor="MetaX"), "mx-smi"),
        (replace(CARD, name="musa:0", kind="musa", vendor="Moore Threads"), "mthreads-gmi"),
        (replace(CARD, name="xpu:0", kind="xpu", vendor="Intel"), "xpu-smi"),
        (CARD, "AMD SMI is not installed"),
        (replace(CARD, name="mps", kind="mps", vendor="Apple"), "battery controller"),
    ],
    ids=lambda value: getattr(value, "vendor", None),
)
def test_a_card_without_its_tool_says_which_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: Device, words: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("devices.hwmon.HWMON", tmp_path)
    meter = open_meters(device, tmp_path)
    assert meter.source == "not available"
    assert words in meter.reason


def test_tools_are_named_as_the_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool(monkeypatch, tmp_path, "npu-smi", ASCEND_910)
    tool(monkeypatch, tmp_path, "mx-smi", METAX_TWO)
    tool(monkeypatch, tmp_path, "xpu-smi", XPU)
    tool(monkeypatch, tmp_path, "mthreads-gmi", GMI_TWO)
    monkeypatch.setenv("MUSA_VISIBLE_DEVICES", "1")
    musa, _ = mthreads_meter(replace(CARD, name="musa:0"))
    npu, _ = ascend_meter(replace(CARD, name="npu:0"))
    metax, _ = metax_meter(replace(CARD, name="cuda:1"))
    intel, _ = intel_meter(replace(CARD, name="xpu:0"), tmp_path)
    sources = [meter.source for meter in (npu, metax, intel, musa) if meter is not None]
    assert sources == [
        "npu-smi power, integrated (NPU 0)",
        "mx-smi board power, integrated (GPU 1)",
        "xpu-smi power, integrated (GPU 0)",
        "mthreads-gmi power, integrated (GPU 1)",
    ]


def test_metax_module_is_preferred_and_adds_up_the_boards_inputs() -> None:
    ways = [SimpleNamespace(voltage=12084, current=3291, power=39_800), SimpleNamespace(power=18_900)]
    module = SimpleNamespace(mxSmlGetBoardPowerInfo=lambda index: ways)
    meter, reason = metax_meter(replace(CARD, vendor="MetaX"), module)
    assert meter is not None
    assert (meter.source, reason) == ("MXSML board power, integrated (GPU 0)", "")
    assert meter._read_power_w() == pytest.approx(58.7)


class FakeMtml(ModuleType):
    """The calls of mthreads-ml-py that tell a card's milliwatts; `lost` cards raise as it does."""

    class MTMLError(Exception):
        """Raised for every code."""

    lost = False

    def __init__(self) -> None:
        super().__init__("pymtml")
        self.started = 0

    def mtmlLibraryInit(self) -> None:
        self.started += 1

    def mtmlLibraryInitDeviceByIndex(self, index: int) -> str:
        return f"card {index}"

    def mtmlDeviceGetPowerUsage(self, card: str) -> int:
        if self.lost:
            raise self.MTMLError("MTML_ERROR_DEVICE_LOST")
        return {"card 0": 109_510, "card 3": 61_000}[card]


def test_moore_threads_module_is_preferred_imported_late_and_may_lose_its_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = FakeMtml()
    monkeypatch.setitem(sys.modules, "pymtml", module)
    monkeypatch.setenv("MUSA_VISIBLE_DEVICES", "0,3")
    meter, reason = mthreads_meter(replace(CARD, name="musa:1", kind="musa", vendor="Moore Threads"))
    assert meter is not None
    assert (meter.source, reason, module.started) == ("MTML power, integrated (GPU 3)", "", 1)
    assert meter._read_power_w() == 61.0
    module.lost = True
    assert meter.read_energy_j() is None


class FakeAmdSmi(ModuleType):
    """AMD SMI as its Python module presents itself."""

    class AmdSmiException(Exception):
        """The base of its errors."""

    def __init__(self, energy: dict[str, Any] | None, power: dict[str, Any] | None) -> None:
        super().__init__("amdsmi")
        self.energy, self.power = energy, power

    def amdsmi_get_processor_handles(self) -> list[str]:
        return ["handle"]

    def amdsmi_get_energy_count(self, handle: str) -> dict[str, Any]:
        return self._answer(self.energy)

    def amdsmi_get_power_info(self, handle: str) -> dict[str, Any]:
        return self._answer(self.power)

    def _answer(self, value: dict[str, Any] | None) -> dict[str, Any]:
        if value is None:
            raise self.AmdSmiException("AMDSMI_STATUS_NOT_SUPPORTED")
        return value


@pytest.mark.parametrize("key", ["energy_accumulator", "power"], ids=["since 6.2.1", "before"])
def test_amd_counter_in_units_of_its_resolution(key: str) -> None:
    smi = FakeAmdSmi({key: 2_000_000, "counter_resolution": 15.3, "timestamp": 1}, None)
    meter, _ = amd_meter(CARD, smi)
    assert meter is not None
    assert meter.source == "AMD SMI energy counter (GPU 0)"
    assert meter.read_energy_j() == pytest.approx(30.6)


@pytest.mark.parametrize(
    "power",
    [
        {"current_socket_power": 141, "average_socket_power": "N/A"},
        {"current_socket_power": 65535, "average_socket_power": 141},
    ],
    ids=["MI300", "Radeon"],
)
def test_amd_watts_where_there_is_no_counter(power: dict[str, Any]) -> None:
    meter, _ = amd_meter(CARD, FakeAmdSmi(None, power))
    assert meter is not None
    assert meter.source == "AMD SMI power, integrated (GPU 0)"
    assert meter._read_power_w() == 141.0  # type: ignore[union-attr]


def test_amd_card_is_numbered_as_on_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "2,3")
    for number in range(4):
        card(tmp_path, number, "amdgpu", power1_average=f"{number}000000")
    meter, _ = amd_meter(replace(CARD, name="cuda:1"), FakeAmdSmi(None, None), tmp_path)
    assert meter is not None
    assert meter.source == "power of amdgpu (card 3), integrated"


def card(hwmon: Path, number: int, driver: str, **files: str) -> Path:
    """A card's folder as the kernel makes it."""
    folder = hwmon / f"hwmon{9 - number}"
    folder.mkdir(parents=True)
    bus = hwmon / "pci" / f"0000:0{number}:00.0"
    bus.mkdir(parents=True)
    (folder / "device").symlink_to(bus)
    for name, text in {"name": driver, **files}.items():
        (folder / name).write_text(f"{text}\n")
    return folder


def test_the_drivers_counter_comes_before_its_watts(tmp_path: Path) -> None:
    card(tmp_path, 0, "coretemp", temp1_input="40000")
    folder = card(tmp_path, 1, "xe", energy1_input="5000000", power1_average="9000000")
    meter = hwmon_meter(("xe", "i915"), 0, tmp_path)
    assert meter is not None
    assert meter.source == "energy counter of xe (card 0)"
    assert meter.read_energy_j() == 5.0
    (folder / "energy1_input").unlink()
    assert meter.read_energy_j() is None


def test_a_macbook_names_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.apple.ask", lambda command: MACBOOK)
    meter, reason = apple_meter()
    assert meter is not None
    assert (meter.source, reason) == ("battery controller, whole Mac, integrated", "")
