"""Telling a device that gave up from a mistake of ours, whatever words its driver has for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

# PyTorch's own classes for it, told by name so that no torch is imported to look.
_CLASSES = {"OutOfMemoryError", "AcceleratorError", "DeviceError"}
_MEMORY = re.compile(r"out of memory|alloc(ation|ate).*fail|cannot allocate", re.IGNORECASE)
_DRIVER = re.compile(
    r"\b(CUDA|cuBLAS|cuDNN|HIP|hipBLAS|MACA|MUSA|NPU|ACL|XPU|Level.?Zero|MPS|Metal)\b.*(error|fail|lost|timeout)"
    r"|device-side assert|device (was )?(lost|removed)|GPU is lost|illegal memory access",
    re.IGNORECASE | re.DOTALL,
)


def device_failure(error: BaseException, device: str) -> str | None:
    """What happened to `device`, in a few words; None if the error is no failure of an accelerator."""
    if device.partition(":")[0] == "cpu":
        return None
    for cause in _chain(error):
        names = {kind.__name__ for kind in type(cause).__mro__}
        told = str(cause)
        if not (names & _CLASSES or (isinstance(cause, RuntimeError) and _DRIVER.search(told))):
            continue
        if "OutOfMemoryError" in names or _MEMORY.search(told):
            return f"{device} ran out of memory"
        first = (told.strip() or type(cause).__name__).splitlines()[0][:160].rstrip(".")
        return f"{device} failed: {first}"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
