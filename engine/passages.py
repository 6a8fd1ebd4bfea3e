"""Recall codes of the passages that stream through the model: weighted mean hidden state, centred, projected,
by sign.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from engine.decoder import Decoder
from engine.state import ContextState
from engine.weights import RecallWeights
from kernels.hamming import pack_signs

NOTHING = 1e-6
"""Least sum of weights of a mean: of no tokens it is zero."""


class PassageCoder:
    """Pools hidden states between passage ends; the unfinished passage's sum lives in the state."""

    def __init__(
        self, recall: RecallWeights, state: ContextState, ends: Iterable[int], separator: int | None
    ) -> None:
        self._recall = recall
        self._state = state
        self._separator = separator
        self._ends: Iterator[tuple[int, int]] = enumerate(ends)
        self._next = next(self._ends, None)
        self._ids: Tensor | None = None
        self.codes: list[tuple[int, bytes]] = []
        while self._next is not None and self._next[1] <= state.tokens_read:
            self._next = next(self._ends, None)

    def begin(self, ids: Tensor) -> None:
        """Announce the chunk whose hidden states `tap` will receive."""
        self._ids = ids
        self.codes = []

    def tap(self, layer: int, hidden: Tensor) -> None:
        """Pool `hidden` [T, d] of the announced chunk at the recall layer; completed passages go to
        `codes`.
        """
        if layer != self._recall.layer:
            return
        assert self._ids is not None
        state, start = self._state, self._state.tokens_read
        counted = self._recall.weigh(self._ids, self._separator)
        cuts, finished = [0], []
        while self._next is not None and self._next[1] <= start + len(hidden):
            finished.append(self._next[0])
            cuts.append(self._next[1] - start)
            self._next = next(self._ends, None)
        cuts.append(len(hidden))
        place = torch.arange(len(hidden), device=hidden.device)
        edges = torch.tensor(cuts, device=hidden.device)[:, None]
        member = ((place >= edges[:-1]) & (place < edges[1:])).float() * counted
        sums, counts = member @ hidden, member.sum(dim=1)
        sums[0] += state.passage_sum
        counts[0] += state.passage_count
        state.passage_sum, state.passage_count = sums[-1].clone(), float(counts[-1])
        if finished:
            means = sums[:-1] / counts[:-1, None].clamp(min=NOTHING)
            codes = sign_codes(means, self._recall.mean, self._recall.projection)
            self.codes = list(zip(finished, codes, strict=True))


def question_code(
    decoder: Decoder, recall: RecallWeights, chunks: Iterable[Tensor], state: ContextState, separator: int
) -> bytes:
    """The code of a question given as chunks of ids after a separator, read alone into a new `state`."""
    total = torch.zeros(decoder.config.hidden_size, device=decoder.device)
    counted = total.new_zeros(())
    with torch.inference_mode():
        for chunk in chunks:
            hidden = decoder.forward(chunk, state, stop=recall.layer)
            assert hidden is not None
            weights = recall.weigh(chunk, separator)
            total, counted = total + weights @ hidden, counted + weights.sum()
        mean = total[None] / counted.clamp(min=NOTHING)
        return sign_codes(mean, recall.query_mean, recall.query_projection)[0]


def sign_codes(means: Tensor, center: Tensor, projection: Tensor) -> list[bytes]:
    """The code of each mean hidden state: `means` [N, d], `center` [d], `projection` [bits, d] -> N times
    bits/8 bytes.
    """
    return [row.tobytes() for row in pack_signs(((means - center) @ projection.T).cpu().numpy())]
