"""Multiply-accumulates of reading, counted exactly from an architecture. Needs no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.config import FULL_ATTENTION, LayerConfig, ModelConfig


@dataclass(frozen=True, slots=True)
class Softmax:
    """Whose keys one layer's softmax sees: `window` keys besides the query's own (-1: all), or, where `block`
    is not 0, its own block of so many keys and `topk` - 1 earlier ones. `sinks` are the first keys, seen by
    all; `learned` ones stand before them.
    """

    window: int = FULL_ATTENTION
    block: int = 0
    topk: int = 0
    sinks: int = 0
    learned: int = 0

    def keys(self, count: int) -> int:
        """Keys seen, summed over the queries at positions 1 ... `count`."""
        beside = self.learned * count
        if self.block:
            return beside + self._in_blocks(count)
        if self.window < 0:
            return beside + _triangle(count)
        return beside + _capped(count, self.window + 1 + self.sinks)

    def gates(self, count: int) -> int:
        """Mean keys that queries were compared with to choose blocks, summed likewise; none where all earlier
        blocks are seen anyway.
        """
        if not self.block or self.topk < 2:
            return 0
        whole, rest = divmod(count, self.block)
        chosen = _triangle(max(0, whole - 1)) - _triangle(min(max(0, whole - 1), self.topk - 1))
        return self.block * chosen + (rest * whole if whole >= self.topk else 0)

    def _in_blocks(self, count: int) -> int:
        whole, rest = divmod(count, self.block)
        own = whole * _triangle(self.block) + _triangle(rest)
        earlier = self.block * _capped(max(0, whole - 1), self.topk - 1) + rest * min(whole, self.topk - 1)
        return own + self.block * earlier


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the cost of reading.

    `matrices`, `states`: multiply-accumulates that every token takes in weight matrices (active experts only)
    and in linear attention's states. `softmax`: the layers with such a branch. `full_matrices`: those of a
    Transformer of the same size. `cache_bytes`: bytes of a number in the key/value cache.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    matrices: int
    full_matrices: int
    states: int
    softmax: tuple[Softmax, ...]
    cache_bytes: int

    @classmethod
    def of(cls, engine: Any) -> Shape:
        """The shape of a loaded engine, branches without weights left out."""
        c, layers = engine.config, engine.decoder.weights.layers
        gated = {i for i, layer in enumerate(layers) if layer.gates is not None}
        return cls.of_config(c, engine.decoder.cache_dtype.itemsize, gated)

    @classmethod
    def of_config(cls, c: ModelConfig, cache_bytes: int, gated: Collection[int] | None = None) -> Shape:
        """The shape of an architecture; `gated`: the layers whose linear branch has weights (None: all)."""
        linear = [i for i, x in enumerate(c.layers) if x.linear and (gated is None or i in gated)]
        plain = c.num_layers * _attention(c) + sum(_feed_forward(c, i) for i in range(c.num_layers))
        extra = len(linear) * _gate(c) + sum(_sparse_matrices(c, layer) for layer in c.layers)
        # A linear branch scales and extends its state once a key head, and reads it once a query head.
        states = len(linear) * (2 * c.num_kv_heads + c.num_heads) * c.head_dim**2
        states += sum(_sparse_states(c, layer) for layer in c.layers)
        softmax = tuple(kind for layer in c.layers if (kind := _softmax(c, layer)) is not None)
        sizes = c.num_layers, c.num_heads, c.num_kv_heads, c.head_dim
        return cls(*sizes, plain + extra, plain, states, softmax, cache_bytes)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Shape:
        """As `as_dict` wrote it; TypeError for anything else."""
        return cls(**{**values, "softmax": tuple(Softmax(**kind) for kind in values.get("softmax", ()))})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def with_full_attention(self) -> Shape:
        """A Transformer of the same size: every layer attends to everything, no linear branch, no sinks."""
        softmax = (Softmax(),) * self.layers
        return replace(self, matrices=self.full_matrices, states=0, softmax=softmax)

    def attention(self, start: int, tokens: int) -> int:
        """Multiply-accumulates of attention for `tokens` tokens read after the first `start`: scores and
        mixing, choice of blocks, states.
        """
        end, keys = start + tokens, 0
        for kind in self.softmax:
            keys += 2 * (kind.keys(end) - kind.keys(start)) + kind.gates(end) - kind.gates(start)
        return self.heads * self.head_dim * keys + self.states * tokens

    def macs(self, start: int, tokens: int) -> int:
        """Multiply-accumulates of reading `tokens` tokens after the first `start`, output table left out."""
        return self.matrices * tokens + self.attention(start, tokens)

    def cache(self, tokens: int) -> int:
        """Bytes of keys and values that layers which keep all of them hold for `tokens` tokens."""
        layers = sum(kind.window < 0 for kind in self.softmax)
        return 2 * layers * self.kv_heads * self.head_dim * self.cache_bytes * tokens


def _attention(c: ModelConfig) -> int:
    """Projections of queries, keys, values and output, which every layer has."""
    return c.hidden_size * c.head_dim * (2 * c.num_heads + 2 * c.num_kv_heads)


def _feed_forward(c: ModelConfig, layer: int) -> int:
    """Gate, up and down; in a mixture those of the experts that a token meets, and the router."""
    e = c.experts
    if e is None or layer not in e.layers:
        return 3 * c.hidden_size * c.intermediate_size
    return c.hidden_size * (3 * e.width * (e.shared + e.active) + e.count)


def _gate(c: ModelConfig) -> int:
    """The decay of a linear branch: two thin matrices, one full one, or nothing where the key is the gate."""
    width = c.num_kv_heads * c.head_dim
    if c.gate_rank > 0:
        return c.gate_rank * (c.hidden_size + width)
    return c.hidden_size * width if c.gate_rank == 0 else 0


def _sparse_matrices(c: ModelConfig, layer: LayerConfig) -> int:
    """Sparse states (golden README 7.3): q, k, v and output, low-rank steps, decay and strength, router."""
    if layer.sparse is None:
        return 0
    d, width = c.hidden_size, c.num_heads * c.head_dim
    return 4 * d * width + 2 * c.head_dim * (d + width) + 4 * c.num_heads * d + layer.sparse.partitions * d


def _sparse_states(c: ModelConfig, layer: LayerConfig) -> int:
    """Delta rule on the shared state and the partitions in use: decay, look-up, write, read, D^2 each."""
    return 0 if layer.sparse is None else 4 * (1 + layer.sparse.active) * c.num_heads * c.head_dim**2


def _softmax(c: ModelConfig, layer: LayerConfig) -> Softmax | None:
    if layer.memory is not None:
        block, topk = layer.memory.block, layer.memory.topk
        return Softmax() if topk is None else Softmax(block=block, topk=topk)
    if layer.window is None:
        return None
    return Softmax(layer.window, sinks=c.sinks, learned=c.learned_sinks)


def _triangle(number: int) -> int:
    return number * (number + 1) // 2


def _capped(number: int, most: int) -> int:
    """Sum of min(t, most) over t = 1 ... number."""
    return _triangle(min(number, most)) + max(0, number - most) * most
