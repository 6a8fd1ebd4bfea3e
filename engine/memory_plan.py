"""What a model needs of memory: its weights, its state, and what a longer context adds. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from engine.config import FULL_ATTENTION, LayerConfig, ModelConfig

CHUNK_TOKENS = 1024
SLACK_TOKENS = 256
RUNTIME_BYTES = 300_000_000
"""Interpreter, torch and kernels (measured: 0.28 GB resident before any weight is loaded)."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes of memory: `weights` and `state` at any length, `growth_per_token` for each token of context,
    `working` for the chunk in hand.
    """

    weights: int
    state: int
    growth_per_token: int
    working: int

    @property
    def growth_per_million(self) -> int:
        """Bytes that a million tokens of context add; 0 where memory does not grow."""
        return self.growth_per_token * 1_000_000

    def needed(self, tokens: int = 0) -> int:
        """Bytes with the model loaded and `tokens` read."""
        return self.weights + self.reading(tokens)

    def reading(self, tokens: int) -> int:
        """Bytes beside the weights while a context of `tokens` is read."""
        return self.state + self.working + self.growth_per_token * tokens

    def fitting_tokens(self, available: int) -> int | None:
        """The longest context that `available` bytes hold, weights included; None if there is no end."""
        if self.growth_per_token == 0:
            return None if self.needed() <= available else 0
        return max(0, (available - self.needed()) // self.growth_per_token)

    def as_dict(self) -> dict[str, int]:
        """For JSON; `MemoryPlan(**...)` reads it back."""
        return asdict(self)


def plan_memory(config: ModelConfig, weights: int, element_bytes: int) -> MemoryPlan:
    """The plan of a model whose weights take `weights` bytes and whose cached keys take `element_bytes` each.

    A layer that brings `state_bytes(config, element_bytes)` or `growth_bytes_per_token(config,
    element_bytes)` speaks for the branches that this module does not know.
    """
    state = growth = 0
    for layer in config.layers:
        state += _window_bytes(config, layer, element_bytes) + _linear_bytes(config, layer)
        state += _own(layer, "state_bytes", config, element_bytes)
        growth += _growth(config, layer, element_bytes)
        growth += _own(layer, "growth_bytes_per_token", config, element_bytes)
    rows = 8 * config.hidden_size + 4 * config.intermediate_size + config.vocab_size
    return MemoryPlan(weights, state, growth, RUNTIME_BYTES + 4 * CHUNK_TOKENS * rows)


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
