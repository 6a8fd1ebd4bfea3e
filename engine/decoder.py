"""The decoder: one forward pass over a chunk of tokens, advancing a state."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.block_memory import block_memory
from engine.coding import Coder, DenseCoder, Linear, SpikeCoder, per_layer
from engine.config import LayerConfig, ModelConfig
from engine.gated_linear import gated_heads
from engine.layer_memory import linear_state, window_cache
from engine.moe import add_routed
from engine.sinks import LearnedSinks
from engine.sparse_state import add_halves, sparse_heads
from engine.spill import SpillSettings
from engine.state import ContextState, LayerState
from engine.tally import SpikeTally
from engine.weights import LayerWeights, ModelWeights
from engine.window_cache import SEGMENT, Rotary, WindowCache
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
        self, config: ModelConfig, weights: ModelWeights, coder: Coder, cache_dtype: torch.dtype,
        segment: int = SEGMENT,
    ) -> None:  # fmt: skip
        self.config = config
        self.weights = weights
        self._coders = per_layer(coder, config)
        # Its spikes are no part of the tally: they stand for an 8-bit activation.
        coded = weights.head.scale is not None
        self._head: Coder = (
            SpikeCoder(HEAD_K, SpikeTally(), coder.ops) if coded else DenseCoder(cache_dtype, coder.ops)
        )
        self.cache_dtype = cache_dtype
        self.device = weights.norm.device
        self.rotary = Rotary(config.head_dim, config.rope_theta, segment, self.device, apply=coder.ops.rotate)
        self.spill = SpillSettings.default()
        self._prelude: ContextState | None = None
        self.tokens_seen = 0  # ever; a gauge reads it from another thread

    @contextmanager
    def coded_by(self, wrap: Callable[[Coder], Coder]) -> Iterator[None]:
        """Inside, the inputs of every layer are made by `wrap(coder)` of its coder."""
        own = self._coders
        self._coders = [wrap(coder) for coder in own]
        try:
            yield
        finally:
            self._coders = own

    @property
    def ops(self) -> Ops:
        """The operations it computes with."""
        return self._coders[0].ops

    def new_state(self, fingerprint: str) -> ContextState:
        """A state that has read nothing (the learned sinks, where the model has them, left their trace)."""
        c = self.config
        prelude = self._read_sinks() if c.learned_sinks else None
        layers = []
        for i, layer in enumerate(c.layers):
            window = self._window_cache(i)
            linear = linear_state(c, layer, self.device)
            blocks = block_memory(c, layer, self.spill, self.cache_dtype, self.device)
            if prelude is None:
                layers.append(LayerState(window, linear, blocks=blocks))
                continue
            before = prelude.layers[i]
            linear = before.linear.clone() if before.linear is not None else None
            layers.append(LayerState(window, linear, before.sinks))
        passage_sum = torch.zeros(c.hidden_size, device=self.device)
        return ContextState(fingerprint, layers, passage_sum, self.rotary)

    def _window_cache(self, layer: int) -> WindowCache | None:
        true_positions = self._coders[layer].true_positions
        return window_cache(
            self.config, self.config.layers[layer], self.cache_dtype, true_positions, self.device
        )

    def _read_sinks(self) -> ContextState:
        """The state after the learned sinks; read once, for they depend on no text."""
        if self._prelude is None:
            c = self.config
            layers = [
                LayerState(
                    None,
                    linear_state(c, layer, self.device),
                    LearnedSinks() if layer.window is not None else None,
                )
                for layer in c.layers
            ]
            state = ContextState("", layers, torch.zeros(c.hidden_size, device=self.device), self.rotary)
            with torch.inference_mode():
                self.forward(torch.arange(-c.learned_sinks, 0), state, output=False)
            self._prelude = state
        return self._prelude

    def embed(self, ids: Tensor) -> Tensor:
        """float32 [T, d] of int64 ids [T]; those below zero are the learned sinks, the last of them -1."""
        table = self.weights.embedding
        if self.weights.sinks is not None and len(ids) and int(ids[0]) < 0:
            return self.weights.sinks[ids]
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
        dense: bool = False,
    ) -> Tensor | None:
        """Read `ids` [T] into `state`; returns the residual stream [T, d] float32 before the final norm.

        `stop` ends after that many layers. `tap` receives (layers done, the stream) after each layer. With
        `output` false the last layer only fills its memory and None is returned: all that reading needs.
        With `dense` a memory by blocks shows all of them, not only the chosen.
        """
        hidden = self.embed(ids)
        layers = self.weights.layers if stop is None else self.weights.layers[:stop]
        for i, layer in enumerate(layers):
            memory_only = not output and i == len(layers) - 1
            kind, memory, coder = self.config.layers[i], state.layers[i], self._coders[i]
            beside, memory.linear = sparse_heads(coder, self.config, layer, kind, hidden, memory.linear)
            qkv, coded = self._project(coder, layer, hidden)
            given = (hidden, qkv, coded, memory, state.tokens_read)
            heads = self._heads(coder, layer, kind, *given, memory_only, dense)
            if heads is None:
                break
            if beside is not None:
                add_halves(coder, self.config, layer, heads, beside, hidden)
            else:
                coder.add_plain(layer.out, heads, hidden)
            self._feed_forward(coder, layer, hidden)
            if tap is not None:
                tap(i + 1, hidden)
        state.tokens_read += len(ids)
        self.tokens_seen += len(ids)
        return hidden if output else None

    def forward_each(
        self, streams: Sequence[Tensor], start: int = 0, stop: int | None = None
    ) -> tuple[Tensor, ...]:
        """Streams [T_i, d] of sequences that know nothing of each other, `start` layers done (0: `embed` of
        their tokens), taken on to `stop` layers as `forward` takes each into a new state, weights used once
        for all. Only where `reads_abreast`.
        """
        lengths = [len(stream) for stream in streams]
        hidden, heads = torch.cat(list(streams)), None
        memories: dict[tuple[int | None, bool], list[LayerState]] = {}
        for i in range(start, len(self.weights.layers) if stop is None else stop):
            layer, kind, coder = self.weights.layers[i], self.config.layers[i], self._coders[i]
            alike = (kind.window, layer.gates is not None)
            if alike not in memories:
                linear = linear_state(self.config, kind, self.device) if layer.gates is not None else None
                memories[alike] = [LayerState(self._window_cache(i), linear) for _ in streams]
            qkv, _ = self._project(coder, layer, hidden)
            parts = []
            split = zip(hidden.split(lengths), qkv.split(lengths), memories[alike], strict=True)
            for rows, part, memory in split:
                memory.forget()
                given = self._heads(coder, layer, kind, rows, part, None, memory, 0)
                assert given is not None
                parts.append(given)
            heads = torch.cat(parts, out=heads)
            coder.add_plain(layer.out, heads, hidden)
            self._feed_forward(coder, layer, hidden)
        if start == 0:
            self.tokens_seen += len(hidden)
        return hidden.split(lengths)

    @property
    def reads_abreast(self) -> bool:
        """Whether `forward_each` can be used: no layer carries tokens on but by a window of keys and values
        and by gated linear attention whose gates do not share the coded input.
        """
        return not self.config.learned_sinks and all(
            kind.sparse is None
            and kind.memory is None
            and (layer.gates is None or not isinstance(layer.gates.decay, Linear))
            for kind, layer in zip(self.config.layers, self.weights.layers, strict=True)
        )

    def logits(self, hidden: Tensor) -> Tensor:
        """float32 [T, V] from the residual stream [T, d]."""
        normed = F.rms_norm(hidden, (hidden.shape[-1],), self.weights.norm, self.config.norm_eps)
        return self._head.linear_plain(self.weights.head, normed)

    def _feed_forward(self, coder: Coder, layer: LayerWeights, hidden: Tensor) -> None:
        """Add the feed-forward part's output to the stream [T, d]."""
        entering = hidden.clone() if layer.experts is not None else None
        coder.feed_forward(layer.gate_up, layer.down, hidden, layer.mlp_norm, self.config.norm_eps)
        if entering is not None:
            add_routed(coder, self.config, layer, entering, hidden)

    def _heads(
        self, coder: Coder, layer: LayerWeights, kind: LayerConfig, hidden: Tensor, qkv: Tensor, coded: Any,
        memory: LayerState, position: int, memory_only: bool = False, dense: bool = False,
    ) -> Tensor | None:  # fmt: skip
        """Outputs of all heads [T, H D] before the output projection, from what `_project` gave for the
        stream `hidden` [T, d] of one sequence; None if only the memory was to be filled.
        """
        c = self.config
        count = len(hidden)
        split = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim, c.num_kv_heads * c.head_dim)
        parts = qkv.split(split, dim=-1)
        q, k, v = (part.view(count, -1, c.head_dim).transpose(0, 1) for part in parts)
        if layer.q_norm is not None and layer.k_norm is not None:
            q = F.rms_norm(q, (c.head_dim,), layer.q_norm, c.norm_eps)
            k = F.rms_norm(k, (c.head_dim,), layer.k_norm, c.norm_eps)
        heads: Tensor | None = None
        if memory.blocks is not None:
            heads = memory.blocks.attend(
                q, k, v, self.rotary, position=position, dense=dense, memory_only=memory_only
            )
        elif memory.window is not None:
            heads = self._window(coder, q, k, v, memory, memory.window, position, memory_only)
        elif memory.sinks is not None:
            heads = memory.sinks.read(q, k, v, self.rotary, self.cache_dtype)
        if kind.linear and layer.gates is not None:
            branch, memory.linear = gated_heads(coder, c, layer, hidden, coded, (q, k, v), memory.linear)
            if heads is not None and layer.gates.softmax_norm is not None:
                heads = F.rms_norm(heads.float(), (c.head_dim,), layer.gates.softmax_norm, c.norm_eps)
            heads = branch if heads is None else heads + branch
        if memory_only or heads is None:
            return None
        return heads.reshape(count, -1)

    def _project(self, coder: Coder, layer: LayerWeights, hidden: Tensor) -> tuple[Tensor, Any]:
        """Queries, keys and values side by side, float32 [T, N], and the coded input where gates take it
        too.
        """
        eps = self.config.norm_eps
        if layer.gates is None or not isinstance(layer.gates.decay, Linear):
            return coder.norm_linear(layer.qkv, hidden, layer.attn_norm, eps), None
        coded = coder.norm(hidden, layer.attn_norm, eps)
        return coder.linear(layer.qkv, coded), coded

    def _window(
        self, coder: Coder, q: Tensor, k: Tensor, v: Tensor, memory: LayerState, cache: WindowCache,
        position: int, memory_only: bool,
    ) -> Tensor | None:  # fmt: skip
        """Window attention of q [H, T, D], k, v [Hk, T, D] float32 -> [T, H, D]; extends the cache."""
        rotated = cache.append(q, k, v, self.rotary, coder.ops)
        if memory_only:
            return None
        sinks = None
        if memory.sinks is not None:
            sinks = memory.sinks.seen_by(q, position, cache.left, self.rotary)
        elif cache.sink_keys.shape[1] and position + q.shape[1] - 1 > cache.left:
            sinks = Sinks(cache.rotated_sinks(self.rotary), cache.sink_values, q, position)
        rotated, keys, values = coder.attended(rotated, *cache.visible(q.shape[1]))
        return coder.ops.window_attention(rotated, keys, values, cache.left, sinks, position)
