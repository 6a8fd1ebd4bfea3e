"""A tally of the spikes fired, over a sample of tokens."""

import numpy as np
import torch
from torch import Tensor

from kernels.spike import Spikes

TALLY_STRIDE = 32
"""Every 32nd token of a chunk is counted: the shares are means over thousands of tokens either way."""


class SpikeTally:
    """Running sums over the sampled places (token, channel) of every coded layer input."""

    __slots__ = ("sums", "waiting")

    def __init__(self) -> None:
        self.sums = np.zeros(3, np.int64)
        """Places, spikes, silent places; compiled layers add to it themselves."""
        self.waiting: list[Tensor] = []
        """Counts that a device has yet to hand over: int32 [samples, 2] of set bits and silent channels."""

    places = property(lambda self: int(self.sums[0]))
    spikes = property(lambda self: int(self.sums[1]))
    silent = property(lambda self: int(self.sums[2]))

    def clear(self) -> None:
        """Begin anew."""
        self.sums[:] = 0
        self.waiting.clear()

    def add(self, spikes: Spikes) -> None:
        """Count a sample of `spikes` [T, K]; a spike is a set bit of |count| (bidirectional bitwise
        coding).
        """
        if spikes.fired is not None:
            self.sums[0] += len(spikes.fired) * spikes.low.shape[1]
            self.waiting.append(spikes.fired)
            return
        counts = np.abs(spikes.counts(slice(None, None, TALLY_STRIDE)).cpu().numpy())
        fired = int(np.bitwise_count(counts).sum(dtype=np.int64))
        self.sums += (counts.size, fired, counts.size - int(np.count_nonzero(counts)))

    def spikes_per_channel(self) -> float | None:
        """Mean spikes a channel fires for one token; None where nothing was coded."""
        self._collect()
        return self.spikes / self.places if self.places else None

    def silent_share(self) -> float | None:
        """Share of channels that fire nothing; None where nothing was coded."""
        self._collect()
        return self.silent / self.places if self.places else None

    def _collect(self) -> None:
        if self.waiting:
            spikes, silent = torch.cat(self.waiting).sum(dim=0, dtype=torch.int64).tolist()
            self.sums += (0, spikes, silent)
            self.waiting.clear()
