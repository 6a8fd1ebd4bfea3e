"""The decoder: one forward pass over a chunk of tokens, advancing a state."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.coding import Coder, DenseCoder, Linear, SpikeCoder, SpikeTally
from engine.config import LayerConfig, ModelConfig
from engine.state import ContextState, LayerState
from engine.weights import Gates, LayerWeights, ModelWeights
from engine.window_cache import Rotary, WindowCache
from kernels.gla import gla_chunked
from kernels.ops import Ops
from kernels.window import Sinks

HEAD_K = 32.0
"""Threshold factor before the output table: fine enough to be an 8-bit activation, so ranks of tokens
survive.
"""

Tap = Callable[[int, Tensor], None]


class Decoder:
    """Weights, coder and positions of one model; holds no sequence state."""

    def __init__(
        self, config: ModelConfig, weights: ModelWeights, coder: Coder, cache_dtype: torch.dtype
    ) -> None:
        self.config = config
        self.weights = weights
        self._coder = coder
        # Its spikes are no part of the tally: they stand for an 8-bit activation.
        coded = weights.head.scale is not None
        self._head: Coder = (
            SpikeCoder(HEAD_K, SpikeTally(), coder.ops) if coded else DenseCoder(cache_dtype, coder.ops)
        )
        self.cache_dtype = cache_dtype
        self.rotary = Rotary(config.head_dim, config.rope_theta)

    @property
    def ops(self) -> Ops:
        """The operations it computes with."""
        return self._coder.ops

    def new_state(self, fingerprint: str) -> ContextState:
        """A state that has read nothing."""
        c = self.config
        layers = []
        for layer in c.layers:
            window = None
            if layer.window is not None:
                window = WindowCache(
                    c.num_kv_heads, c.head_dim, layer.window, c.sinks, self.cache_dtype,
                    self._coder.true_positions,
                )  # fmt: skip
            linear = torch.zeros(c.num_kv_heads, c.head_dim, c.head_dim) if layer.linear else None
            layers.append(LayerState(window, linear))
        return ContextState(fingerprint, layers, torch.zeros(c.hidden_size), self.rotary)

    def embed(self, ids: Tensor) -> Tensor:
        """float32 [T, d] of int64 ids [T]."""
        table = self.weights.embedding
        rows = table.weight[ids].float()
        return rows if table.scale is None else rows.mul_(table.scale[ids][:, None])

    def forward(
        self,
        ids: Tensor,
        state: ContextState,
        *,
        stop: int | None = None,
        tap: Tap | None = None,
        output: bool = True,
    ) -> Tensor | None:
        """Read `ids` [T] into `state`; returns the residual stream [T, d] float32 before the final norm.

        `stop` ends after that many layers. `tap` receives (layers done, the stream) after each layer. With
        `output` false the last layer only fills its memory and None is returned: all that reading needs.
        """
        hidden = self.embed(ids)
        layers = self.weights.layers if stop is None else self.weights.layers[:stop]
        for i, layer in enumerate(layers):
            memory_only = not output and i == len(layers) - 1
            heads = self._attend(
                layer, self.config.layers[i], hidden, state.layers[i], state.tokens_read, memory_only
            )
            if heads is None:
                break
            self._coder.add_plain(layer.out, heads, hidden)
            self._coder.feed_forward(layer.gate_up, layer.down, hidden, layer.mlp_norm, self.config.norm_eps)
            if tap is not None:
                tap(i + 1, hidden)
        state.tokens_read += len(ids)
        return hidden if output else None

    def logits(self, hidden: Tensor) -> Tensor:
        """float32 [T, V] from the residual stream [T, d]."""
        normed = F.rms_norm(hidden, (hidden.shape[-1],), self.weights.norm, self.config.norm_eps)
        return self._head.linear_plain(self.weights.head, normed)

    def _attend(
        self,
        layer: LayerWeights,
        kind: LayerConfig,
        hidden: Tensor,
        memory: LayerState,
        position: int,
        memory_only: bool,
    ) -> Tensor | None:
        """Outputs of all heads [T, H D] before the output projection; None if only the memory was to be
        filled.
        """
        c = self.config
        count = len(hidden)
        qkv, coded = self._project(layer, hidden)
        split = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim, c.num_kv_heads * c.head_dim)
        parts = qkv.split(split, dim=-1)
        q, k, v = (part.view(count, -1, c.head_dim).transpose(0, 1) for part in parts)
        if layer.q_norm is not None and layer.k_norm is not None:
            q = F.rms_norm(q, (c.head_dim,), layer.q_norm, c.norm_eps)
            k = F.rms_norm(k, (c.head_dim,), layer.k_norm, c.norm_eps)
        heads: Tensor | None = None
        if memory.window is not None:
            heads = self._window(q, k, v, memory.window, position, memory_only)
        if kind.linear and layer.gates is not None:
            decay = layer.gates.decay
            if isinstance(decay, Linear):
                gate = self._coder.linear(decay, coded)
            else:
                normed = F.rms_norm(hidden, (c.hidden_size,), layer.attn_norm, c.norm_eps)
                gate = F.linear(F.linear(normed, decay.down), decay.up, decay.bias)
            branch, memory.linear = self._gated_linear(layer.gates, gate, q, k, v, memory.linear)
            heads = branch if heads is None else heads + branch
        if memory_only or heads is None:
            return None
        return heads.reshape(count, -1)

    def _project(self, layer: LayerWeights, hidden: Tensor) -> tuple[Tensor, Any]:
        """Queries, keys and values side by side, float32 [T, N], and the coded input where gates take it
        too.
        """
        eps = self.config.norm_eps
        if layer.gates is None or not isinstance(layer.gates.decay, Linear):
            return self._coder.norm_linear(layer.qkv, hidden, layer.attn_norm, eps), None
        coded = self._coder.norm(hidden, layer.attn_norm, eps)
        return self._coder.linear(layer.qkv, coded), coded

    def _window(
        self, q: Tensor, k: Tensor, v: Tensor, cache: WindowCache, position: int, memory_only: bool
    ) -> Tensor | None:
        """Window attention of q [H, T, D], k, v [Hk, T, D] float32 -> [T, H, D]; extends the cache."""
        rotated = cache.append(q, k, v, self.rotary, self._coder.ops)
        if memory_only:
            return None
        sinks = None
        if cache.sink_keys.shape[1] and position + q.shape[1] - 1 > cache.left:
            sinks = Sinks(cache.rotated_sinks(self.rotary), cache.sink_values, q, position)
        rotated, keys, values = self._coder.attended(rotated, *cache.visible(q.shape[1]))
        return self._coder.ops.window_attention(rotated, keys, values, cache.left, sinks, position)

    def _gated_linear(
        self, gates: Gates, gate: Tensor, q: Tensor, k: Tensor, v: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Gated linear attention -> heads [T, H, D] and the new state (golden semantics: relu, logsigmoid /
        16).
        """
        c = self.config
        count = len(gate)
        decay = F.logsigmoid(gate) / c.gate_normalizer
        decay = decay.view(count, c.num_kv_heads, c.head_dim).transpose(0, 1)
        grouped = F.relu(q).reshape(c.num_kv_heads, c.num_heads // c.num_kv_heads, count, c.head_dim)
        out, state = gla_chunked(grouped, F.relu(k), v, decay, state)
        heads = out.reshape(c.num_heads, count, c.head_dim).transpose(0, 1)
        heads = F.rms_norm(heads, (c.head_dim,), gates.norm, c.norm_eps)
        return (heads if gates.mix is None else heads * gates.mix[:, None]), state
