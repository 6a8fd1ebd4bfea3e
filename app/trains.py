"""Spike counts as trains over time, with numpy: the pages have no torch.

The codes of `kernels.spike.coding` (SpikingBrain, arXiv 2509.05276, section 2.3); a test holds them equal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CODINGS = {
    "binary": "Binary: |n| equal spikes",
    "ternary": "Ternary: |n| spikes with n's sign",
    "bitwise_unsigned": "Bitwise, unsigned: the bits of |n|",
    "bitwise_bidirectional": "Bitwise, bidirectional: the bits of |n| with n's sign",
    "bitwise_twos_complement": "Bitwise, two's complement: the bits of n",
}
UNSIGNED = frozenset({"binary", "bitwise_unsigned"})
UNARY = frozenset({"binary", "ternary"})
Counts = npt.NDArray[np.int32]


def encode(counts: Counts, coding: str, steps: int) -> npt.NDArray[np.int8]:
    """Planes [steps, *shape] of `counts`, the first in time first; unsigned codes take the magnitude.

    With fewer steps than a count needs, unary codes keep the first spikes and bitwise codes the low bits.
    """
    whole = np.abs(counts) if coding in UNSIGNED else counts
    shape = (-1, *[1] * whole.ndim)
    if coding in UNARY:
        time = np.arange(steps, dtype=np.int32).reshape(shape)
        return ((np.abs(whole) > time) * np.sign(whole)).astype(np.int8)
    place = np.arange(steps - 1, -1, -1, dtype=np.int32).reshape(shape)
    if coding == "bitwise_bidirectional":
        return (((np.abs(whole) >> place) & 1) * np.sign(whole)).astype(np.int8)
    return ((whole >> place) & 1).astype(np.int8)


def steps_needed(counts: Counts, coding: str) -> int:
    """The least number of steps that holds every count."""
    largest = int(np.abs(counts).max(initial=0))
    if coding in UNARY:
        return max(1, largest)
    bits = max(1, largest.bit_length())
    return max(2, bits + 1) if coding == "bitwise_twos_complement" else bits
