"""What a model needs of memory: its weights, its state, and what a longer context adds. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from engine.config import FULL_ATTENTION, LayerConfig, ModelConfig

CHUNK_TOKENS = 1024
SAVED_STATES = 3
"""Saved states of a reading that grows, by their bytes: two of the newest's size are kept, one is written."""
SLACK_TOKENS = 256
RUNTIME_BYTES = 300_000_000
"""Interpreter, torch and kernels (measured: 0.28 GB resident before any weight is loaded)."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes that a model takes: `weights` and `state` at any length, `growth_per_token` for each token of
    context, `working` for the chunk in hand.

    Of the growth `spill_per_token` stays in memory up to `spill_limit` bytes in all and goes to disk beyond.
    """

    weights: int
    state: int
    growth_per_token: int
    working: int
    spill_per_token: int = 0
    spill_limit: int = 0

    @property
    def growth_per_million(self) -> int:
        """Bytes that a million tokens of context add, in memory and on disk; 0 where nothing grows."""
        return self.growth_per_token * 1_000_000

    def needed(self, tokens: int = 0) -> int:
        """Bytes of memory with the model loaded and `tokens` read."""
        return self.weights + self.reading(tokens)

    def reading(self, tokens: int) -> int:
        """Bytes of memory beside the weights while a context of `tokens` is read."""
        fixed = self.state + self.working + (self.growth_per_token - self.spill_per_token) * tokens
        return fixed + min(self.spill_per_token * tokens, self.spill_limit)

    def spilled(self, tokens: int) -> int:
        """Bytes on disk while a context of `tokens` is read."""
        return max(0, self.spill_per_token * tokens - self.spill_limit)

    def saved(self, tokens: int) -> int:
        """Bytes of a saved state of so many tokens."""
        return self.state + self.growth_per_token * tokens

    def on_disk(self, tokens: int) -> int:
        """Bytes that reading `tokens` takes on disk: what is spilled and the saved states that are kept; 0
        where nothing grows (such states are small).
        """
        return self.spilled(tokens) + SAVED_STATES * self.saved(tokens) if self.growth_per_token else 0

    def longest(self, memory: int, disk: int) -> int | None:
        """The longest context that so many bytes beside the weights, and on disk, hold; None: there is no
        end.
        """
        if not self.growth_per_token:
            return None
        low, high = -1, 1 << 40
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.reading(middle) <= memory and self.on_disk(middle) <= disk
            low, high = (middle, high) if fits else (low, middle)
        return max(0, low)

    def as_dict(self) -> dict[str, int]:
        """For JSON; `MemoryPlan(**...)` reads it back."""
        return asdict(self)


def plan_memory(config: ModelConfig, weights: int, element_bytes: int, spill_limit: int = 0) -> MemoryPlan:
    """The plan of a model whose weights take `weights` bytes and whose cached keys take `element_bytes` each.

    `spill_limit`: bytes of memories by blocks that stay in RAM. A layer that brings `state_bytes(config,
    element_bytes)` or `growth_bytes_per_token(config, element_bytes)` speaks for the branches that this
    module does not know.
    """
    state = growth = spill = least = 0
    width = config.num_kv_heads * config.head_dim
    for layer in config.layers:
        state += _window_bytes(config, layer, element_bytes) + _linear_bytes(config, layer)
        state += _own(layer, "state_bytes", config, element_bytes)
        growth += _growth(config, layer, element_bytes)
        growth += _own(layer, "growth_bytes_per_token", config, element_bytes)
        if layer.memory is not None:
            keys = layer.memory.key_bytes_per_token(width, element_bytes)
            spill += keys
            least += keys * layer.memory.block  # the block that is being filled
    rows = 8 * config.hidden_size + 4 * config.intermediate_size + config.vocab_size
    working = RUNTIME_BYTES + 4 * CHUNK_TOKENS * rows
    return MemoryPlan(weights, state, growth, working, spill, max(spill_limit, least) if spill else 0)


def _key_bytes(config: ModelConfig, element_bytes: int) -> int:
    """A token's keys, rotated keys and values in one layer (engine/window_cache.py)."""
    return 3 * config.num_kv_heads * config.head_dim * element_bytes


def _window_bytes(config: ModelConfig, layer: LayerConfig, element_bytes: int) -> int:
    if layer.window is None or layer.window == FULL_ATTENTION:
        return 0
    tokens = layer.window + CHUNK_TOKENS + SLACK_TOKENS + config.sinks
    return tokens * _key_bytes(config, element_bytes)


def _linear_bytes(config: ModelConfig, layer: LayerConfig) -> int:
    return 4 * config.num_kv_heads * config.head_dim * config.head_dim if layer.linear else 0


def _growth(config: ModelConfig, layer: LayerConfig, element_bytes: int) -> int:
    return _key_bytes(config, element_bytes) if layer.window == FULL_ATTENTION else 0


def _own(layer: Any, name: str, config: ModelConfig, element_bytes: int) -> int:
    given = getattr(layer, name, 0)
    return int(given(config, element_bytes) if callable(given) else given)
