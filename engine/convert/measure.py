"""Perplexity of a decoder on short texts, and the spikes it fires on them."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from engine.convert.progress import Progress
from engine.decoder import Decoder
from engine.stepping import aligned_chunks
from engine.tally import SpikeTally
from kernels.spike import Spikes

WINDOW_BITS = 3


class FullTally(SpikeTally):
    """Counts every token, and besides: spikes in the lowest three bits, places up to 7, the largest count."""

    def __init__(self) -> None:
        super().__init__()
        self.low_spikes = self.small = self.largest = 0

    def add(self, spikes: Spikes) -> None:
        """See `SpikeTally`; of every token."""
        counts = np.abs(spikes.counts().cpu().numpy())
        window = (1 << WINDOW_BITS) - 1
        fired = int(np.bitwise_count(counts).sum(dtype=np.int64))
        self.sums += (counts.size, fired, counts.size - int(np.count_nonzero(counts)))
        self.low_spikes += int(np.bitwise_count(counts & window).sum(dtype=np.int64))
        self.small += int(np.count_nonzero(counts <= window))
        self.largest = max(self.largest, int(counts.max(initial=0)))

    def sparsity(self) -> float:
        """Share of the three lowest bits of |count| that hold no spike."""
        return 1 - self.low_spikes / (WINDOW_BITS * self.places)


def perplexity(decoder: Decoder, texts: list[list[int]], label: str) -> float:
    """exp of the mean loss of every token but the first of each text, each text read on its own."""
    loss, count, progress = 0.0, 0, Progress(label, len(texts), "texts")
    for ids in texts:
        state, start = decoder.new_state(""), 0
        with torch.inference_mode():
            for chunk in aligned_chunks(ids[:-1], 0):
                hidden = decoder.forward(torch.tensor(chunk), state)
                assert hidden is not None
                targets = torch.tensor(ids[start + 1 : start + 1 + len(chunk)])
                loss += float(F.cross_entropy(decoder.logits(hidden), targets, reduction="sum"))
                start += len(chunk)
        count += start
        progress.add(1)
    progress.close()
    return math.exp(loss / max(count, 1))
