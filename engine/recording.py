"""The spikes that a text fires, layer by layer: for display, statistics and neuromorphic export."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.coding import Coder, Linear
from engine.engine import Engine
from engine.errors import ModelError
from engine.steps import Steps
from engine.window_cache import SEGMENT
from kernels.spike import Spikes

ATTENTION_IN, ATTENTION_OUT = "attention input", "attention output"
FEED_FORWARD_IN, FEED_FORWARD_INNER = "feed-forward input", "feed-forward inner"
SITES = (ATTENTION_IN, ATTENTION_OUT, FEED_FORWARD_IN, FEED_FORWARD_INNER)


@dataclass(slots=True)
class Recorded:
    """The input of one group of linear layers: `counts` int32 [T, K], `vth` float32 [T] (what a spike is
    worth), and how many outputs each spike reaches.
    """

    layer: int
    site: str
    counts: Tensor
    vth: Tensor
    outputs: int = 0


def record_spikes(engine: Engine, ids: Sequence[int]) -> list[Recorded]:
    """Spike counts of every coded layer input while `ids` [T] are read from an empty state.

    ModelError where activations are not spike-coded, ValueError for more tokens than one chunk.
    """
    if not engine.spiking:
        raise ModelError("this model's activations are not spike-coded", "Choose a spiking model.")
    if len(ids) > SEGMENT:
        raise ValueError(f"at most {SEGMENT} tokens can be recorded at once, not {len(ids)}")
    found: list[Recorded] = []
    layers = itertools.count()
    with engine.decoder.coded_by(lambda coder: _Recorder(coder, next(layers), found)):
        engine.hidden(ids)
    return found


class _Recorder(Steps):
    """The coder of a layer that keeps what another one makes in `found`, operation by operation."""

    def __init__(self, inner: Coder, layer: int, found: list[Recorded]) -> None:
        self.inner = inner
        self.ops = inner.ops
        self.true_positions = inner.true_positions
        self._layer, self._found = layer, found
        self._norms = 0
        self._held: dict[int, tuple[Any, Recorded]] = {}

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Any:
        """Each layer norms twice: before attention and before its feed-forward part."""
        site = FEED_FORWARD_IN if self._norms % 2 else ATTENTION_IN
        self._norms += 1
        return self._keep(self.inner.norm(x, weight, eps), site)

    def plain(self, x: Tensor) -> Any:
        return self._keep(self.inner.plain(x), ATTENTION_OUT)

    def linear(self, layer: Linear, coded: Any) -> Tensor:
        self._reached(coded, layer)
        return self.inner.linear(layer, coded)

    def add_linear(self, layer: Linear, coded: Any, target: Tensor) -> None:
        self._reached(coded, layer)
        self.inner.add_linear(layer, coded, target)

    def gated(self, layer: Linear, coded: Any) -> Any:
        self._reached(coded, layer)
        return self._keep(self.inner.gated(layer, coded), FEED_FORWARD_INNER)

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.inner.attended(q, k, v)

    def _keep(self, coded: Any, site: str) -> Any:
        if isinstance(coded, Spikes):
            kept = Recorded(self._layer, site, coded.counts().cpu(), coded.vth.flatten().float().cpu())
            self._found.append(kept)
            self._held[id(coded)] = coded, kept  # held, so that the id is not used again
        return coded

    def _reached(self, coded: Any, layer: Linear) -> None:
        held = self._held.get(id(coded))
        if held is not None:
            held[1].outputs += layer.weight.shape[0]
