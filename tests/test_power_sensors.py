"""The sensors: real counter formats, wraparound, refusal, loss; each named, none ever zero for unknown."""

from dataclasses import replace
from pathlib import Path

import pytest
from nvml_fake import FakeNvml

from devices import open_meters
from devices.device import Device
from devices.nvidia import power_integral
from devices.power import Meter
from devices.rapl import rapl_meters

CPU = Device("cpu", "cpu", "Intel", "Xeon", None, (), (), False)
CARD = Device("cuda:0", "cuda", "NVIDIA", "NVIDIA H100", None, (), (), True)
RANGE_UJ = 262_143_328_850


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def zone(powercap: Path, number: str, name: str, energy_uj: int = 1_000_000) -> Path:
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return folder


def advance(folder: Path, energy_uj: int) -> None:
    (folder / "energy_uj").write_text(f"{energy_uj}\n")


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """The tree of a two-package server: cores and psys lie beside what counts, and must not count twice."""
    root = tmp_path / "powercap"
    for package in (0, 1):
        zone(root, f"{package}", f"package-{package}")
        zone(root, f"{package}:0", "core")
        zone(root, f"{package}:1", "dram")
    zone(root, "2", "psys")
    return root


@pytest.fixture
def no_powercap(tmp_path: Path) -> Path:
    return tmp_path / "nothing"


def test_rapl_counts_packages_and_their_memory_once(powercap: Path) -> None:
    meter = open_meters(CPU, powercap)
    assert meter.source == "RAPL package-0 + RAPL dram of package-0 + RAPL package-1 + RAPL dram of package-1"


def test_rapl_energy_and_power_of_a_stretch_of_work(powercap: Path) -> None:
    sensors, _ = rapl_meters(powercap)
    clock = Clock()
    with Meter(sensors, clock=clock).measure() as measured:
        advance(powercap / "intel-rapl:0", 31_000_000)
        advance(powercap / "intel-rapl:1:1", 11_000_000)
        clock.now_s += 4
    assert measured.energy_j == pytest.approx(40)
    assert measured.power_w == pytest.approx(10)
    assert measured.seconds == pytest.approx(4)
    assert measured.parts[0] == ("RAPL package-0", pytest.approx(30))
    assert "RAPL package-1" in measured.source


def test_rapl_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    folder = zone(tmp_path, "0", "package-0", RANGE_UJ - 2_000_000)
    ((sensor,), _) = rapl_meters(tmp_path)
    with Meter([sensor]).measure() as measured:
        advance(folder, 3_000_000)
    assert measured.energy_j == pytest.approx(5)


def test_rapl_is_read_often_enough_to_see_every_wrap(tmp_path: Path) -> None:
    zone(tmp_path, "0", "package-0")
    ((sensor,), _) = rapl_meters(tmp_path)
    assert sensor.sample_s is not None
    assert 1 < sensor.sample_s < RANGE_UJ / 1e6 / 1000


def test_rapl_without_permission_says_so(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def refused(path: Path, *arguments: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *arguments)

    monkeypatch.setattr(Path, "read_text", refused)
    with open_meters(CPU, powercap).measure() as measured:
        pass
    assert (measured.energy_j, measured.power_w, measured.source) == (None, None, "not available")
    assert "not permitted" in measured.reason
    assert "chmod a+r" in measured.reason


def test_without_counters_nothing_is_claimed(no_powercap: Path) -> None:
    meter = open_meters(CPU, no_powercap)
    with meter.measure() as measured:
        pass
    assert meter.source == "not available"
    assert (measured.energy_j, measured.power_w, measured.source) == (None, None, "not available")
    assert "no RAPL" in measured.reason


def test_rapl_counter_that_vanishes_gives_none_and_the_reason(powercap: Path) -> None:
    meter = open_meters(CPU, powercap)
    with meter.measure() as measured:
        (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert (measured.energy_j, measured.power_w, measured.source) == (None, None, "not available")
    assert measured.reason == "RAPL package-1 stopped answering during the measurement"


@pytest.mark.parametrize("content", ["", "not a number\n"])
def test_rapl_counter_with_garbage_is_not_available(powercap: Path, content: str) -> None:
    (powercap / "intel-rapl:0" / "energy_uj").write_text(content)
    meter = open_meters(CPU, powercap)
    assert meter.source == "not available"
    assert "cannot be read" in meter.reason


def test_nvml_counter_is_preferred_and_named(no_powercap: Path) -> None:
    nvml = FakeNvml()
    meter = open_meters(CARD, no_powercap, nvml)
    assert meter.source == "NVML energy counter (GPU 0)"
    with meter.measure() as measured:
        nvml.energy_mj = 1_000_000 + 2_500
    assert measured.energy_j == pytest.approx(2.5)
    assert measured.reason.startswith("without the processor: ")


def test_card_and_processor_are_added_and_both_named(powercap: Path) -> None:
    nvml = FakeNvml()
    with open_meters(CARD, powercap, nvml).measure() as measured:
        nvml.energy_mj = 1_000_000 + 20_000
        advance(powercap / "intel-rapl:0", 6_000_000)
    assert measured.energy_j == pytest.approx(25)
    assert measured.source.startswith("NVML energy counter (GPU 0) + RAPL package-0")
    assert measured.reason == ""


def test_nvml_watts_are_integrated_where_there_is_no_counter() -> None:
    clock, nvml = Clock(), FakeNvml(energy_mj=None, power_mw=100_000)
    sensor = power_integral(nvml, 0, 0)
    sensor._clock = clock
    assert sensor.read_energy_j() == 0
    clock.now_s += 2
    nvml.power_mw = 200_000
    assert sensor.read_energy_j() == pytest.approx(300)
    clock.now_s += 1
    assert sensor.read_energy_j() == pytest.approx(500)


def test_card_without_counter_gets_the_integral(no_powercap: Path) -> None:
    meter = open_meters(CARD, no_powercap, FakeNvml(energy_mj=None))
    assert meter.source == "NVML power, integrated (GPU 0)"


def test_card_without_any_sensor_is_not_measured_by_the_processor_alone(powercap: Path) -> None:
    meter = open_meters(CARD, powercap, FakeNvml(energy_mj=None, power_mw=None))
    assert meter.source == "not available"
    assert "NVIDIA H100 answers neither" in meter.reason


def test_card_is_found_by_its_identifier_not_by_its_number(no_powercap: Path) -> None:
    hidden_first = replace(CARD, uuid="00000001")
    assert open_meters(hidden_first, no_powercap, FakeNvml(cards=2)).source.endswith("(GPU 1)")


def test_card_unknown_to_nvml_says_so(no_powercap: Path) -> None:
    meter = open_meters(replace(CARD, uuid="feedbeef"), no_powercap, FakeNvml())
    assert meter.source == "not available"
    assert "Not Found" in meter.reason


def test_card_lost_during_the_work_gives_none_and_the_reason(no_powercap: Path) -> None:
    nvml = FakeNvml()
    with open_meters(CARD, no_powercap, nvml).measure() as measured:
        nvml.lost = True
    assert (measured.energy_j, measured.source) == (None, "not available")
    assert measured.reason == "NVML energy counter (GPU 0) stopped answering during the measurement"


def test_missing_nvidia_library_says_so(no_powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.opening.load_nvml", lambda: None)
    assert "NVML" in open_meters(CARD, no_powercap).reason


def test_vendor_without_meter_is_not_available(powercap: Path) -> None:
    meter = open_meters(replace(CARD, kind="tpu", vendor="Another maker"), powercap)
    assert meter.source == "not available"
    assert "Another maker" in meter.reason
