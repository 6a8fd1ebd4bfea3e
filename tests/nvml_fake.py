"""A stand-in for the `pynvml` module, with the units and errors of the real one."""

from types import SimpleNamespace


class NVMLError(Exception):
    """As in pynvml: one base class, the text names the cause."""


class FakeNvml:
    """One card unless told otherwise. `energy_mj` and `power_mw` None: that query is not supported."""

    NVMLError = NVMLError

    def __init__(
        self, energy_mj: int | None = 1_000_000, power_mw: int | None = 70_000, cards: int = 1
    ) -> None:
        self.energy_mj = energy_mj
        self.power_mw = power_mw
        self.cards = cards
        self.lost = False

    def nvmlDeviceGetCount(self) -> int:
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index >= self.cards:
            raise NVMLError("Invalid Argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        if not uuid.startswith("GPU-0000000"):
            raise NVMLError("Not Found")
        return int(uuid[-1])

    def nvmlDeviceGetIndex(self, handle: int) -> int:
        return handle

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"NVIDIA H100 80GB HBM3"

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-0000000{handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=85_520_809_984, free=0, used=0)

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:
        if self.lost:
            raise NVMLError("GPU is lost")
        return (9, 0)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        return self._answer(self.energy_mj)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return self._answer(self.power_mw)

    def _answer(self, value: int | None) -> int:
        if self.lost:
            raise NVMLError("GPU is lost")
        if value is None:
            raise NVMLError("Not Supported")
        return value
