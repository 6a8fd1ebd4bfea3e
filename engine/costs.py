"""Multiply-accumulates of reading, counted exactly from an architecture. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the cost of a dense decoder.

    `windows`: for each layer the keys seen besides the query's own, -1 for all, None for no softmax branch.
    `linear_layers`: how many have a gated linear attention branch that computes. `cache_bytes`: bytes of a
    number in the key/value cache.
    """

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    windows: tuple[int | None, ...]
    sinks: int
    linear_layers: int
    gate_rank: int
    cache_bytes: int

    @classmethod
    def of(cls, engine: Any) -> Shape:
        """The shape of a loaded engine, branches without weights left out."""
        c, layers = engine.config, engine.decoder.weights.layers
        gated = sum(
            kind.linear and layer.gates is not None for kind, layer in zip(c.layers, layers, strict=True)
        )
        windows = tuple(layer.window for layer in c.layers)
        size = engine.decoder.cache_dtype.itemsize
        return cls(
            c.hidden_size, c.intermediate_size, c.num_heads, c.num_kv_heads, c.head_dim, windows, c.sinks,
            gated, c.gate_rank, size,
        )  # fmt: skip

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Shape:
        """As `as_dict` wrote it; TypeError for anything else."""
        return cls(**{**values, "windows": tuple(values.get("windows", ()))})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def with_full_attention(self) -> Shape:
        """A Transformer of the same size: every layer attends to everything, no linear branch."""
        return replace(self, windows=(-1,) * len(self.windows), sinks=0, linear_layers=0)

    def projections(self) -> int:
        """Multiply-accumulates of a token in linear layers."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        feed_forward = 3 * self.hidden * self.intermediate
        width = self.kv_heads * self.head_dim
        gate = self.gate_rank * (self.hidden + width) if self.gate_rank else self.hidden * width
        return len(self.windows) * (attention + feed_forward) + self.linear_layers * gate

    def attention(self, start: int, tokens: int) -> int:
        """Multiply-accumulates of attention for `tokens` tokens read after the first `start`."""
        keys = sum(self._keys(window, start, tokens) for window in self.windows if window is not None)
        softmax = 2 * self.heads * self.head_dim * keys
        # A linear branch scales and extends its state once a key head, and reads it once a query head.
        state = (2 * self.kv_heads + self.heads) * self.head_dim**2
        return softmax + self.linear_layers * state * tokens

    def macs(self, start: int, tokens: int) -> int:
        """Multiply-accumulates of reading `tokens` tokens after the first `start`, output table left out."""
        return self.projections() * tokens + self.attention(start, tokens)

    def cache(self, tokens: int) -> int:
        """Bytes of keys and values that a softmax layer without a window holds for `tokens` tokens."""
        layers = sum(window == -1 for window in self.windows)
        return 2 * layers * self.kv_heads * self.head_dim * self.cache_bytes * tokens

    def _keys(self, window: int | None, start: int, tokens: int) -> int:
        """Keys seen in one layer, summed over tokens at positions start + 1 ... start + tokens."""
        end = start + tokens
        if window is None:
            return 0
        if window < 0:
            return _triangle(end) - _triangle(start)
        most = window + 1 + self.sinks
        return _capped(end, most) - _capped(start, most)


def _triangle(number: int) -> int:
    return number * (number + 1) // 2


def _capped(number: int, most: int) -> int:
    """Sum of min(t, most) over t = 1 ... number."""
    return _triangle(min(number, most)) + max(0, number - most) * most
