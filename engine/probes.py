"""Single kernels of a model's shapes with made-up inputs, ready to be timed."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from engine.config import ModelConfig
from engine.engine import Engine
from kernels.int8.cpu import spike_matmul
from kernels.layers import FusedLayers
from kernels.spike import Spikes

Run = Callable[[], object]
Shapes = Sequence[tuple[int, int]]


def layer_shapes(config: ModelConfig) -> list[tuple[int, int]]:
    """(outputs, inputs) of a layer's products."""
    d, heads = config.hidden_size, config.num_heads * config.head_dim
    joined = heads + 2 * config.num_kv_heads * config.head_dim
    inner = config.intermediate_size
    return [(joined, d), (d, heads), (2 * inner, d), (d, inner)]


def torch_products(rows: int, shapes: Shapes) -> Run:
    """torch's INT8 product of `rows` tokens with each of the shapes."""
    pairs = [(_codes(rows, k, 1), _codes(n, k, 2)) for n, k in shapes]
    return lambda: [torch._int_mm(x, w.t()) for x, w in pairs]


def whole_layer(engine: Engine, rows: int) -> Run | None:
    """The linear part of one layer in compiled calls; None where the engine computes step by step."""
    layers, config = engine.decoder.ops.layers, engine.config
    shapes = layer_shapes(config)
    codes = [layers.arrange(_codes(n, k, 3)) for n, k in shapes] if layers is not None else []
    if layers is None or not layers.takes(rows, *codes):
        return None
    scales = [torch.full((n,), 1e-3) for n, _ in shapes]
    norm, fired = torch.ones(config.hidden_size), np.zeros(3, np.int64)
    hidden, heads = _normal(rows, config.hidden_size), _normal(rows, shapes[1][1])

    def run() -> None:
        stream = hidden.clone()
        layers.linear(stream, norm, 1e-5, 3.0, codes[0], scales[0], fired)
        layers.linear(heads, None, 0.0, 3.0, codes[1], scales[1], fired, stream)
        layers.feed_forward(stream, norm, 1e-5, 3.0, codes[2], scales[2], codes[3], scales[3], fired)

    return run


def window_attention(engine: Engine, rows: int, window: int) -> Run:
    """Attention of `rows` tokens of one layer behind a full window."""
    c, ops = engine.config, engine.decoder.ops
    q = _normal(c.num_heads, rows, c.head_dim)
    k = _normal(c.num_kv_heads, window + rows, c.head_dim).to(engine.decoder.cache_dtype)
    return lambda: ops.window_attention(q, k, k, window)


def one_token(layers: FusedLayers, shapes: Shapes, copies: int) -> Callable[[float], dict[str, Run]]:
    """For a share of silent channels: one token through `copies` layers' weights with those of silent
    channels unread ("event"), and through products that read all, ours compiled ("whole") and torch's.
    """
    dense = [_codes(n, k, copy) for copy in range(copies) for n, k in shapes]
    turned = [layers.arrange(w) for w in dense]
    scales = {n: torch.ones(n) for n, _ in shapes}
    fired, worth = np.zeros(3, np.int64), torch.ones(1, 1)

    def ways(silent: float) -> dict[str, Run]:
        counts = {k: _counts(k, silent)[None] for _, k in shapes}
        values = {k: low.float() for k, low in counts.items()}

        def event() -> None:
            for codes in turned:
                n, k = codes.shape
                layers.linear(values[k], None, 0.0, 1.0, codes, scales[n], fired)

        def whole() -> None:
            for codes in dense:
                n, k = codes.shape
                layers.table(values[k], 1.0, codes, scales[n])

        def torch_product() -> None:
            for codes in dense:
                spike_matmul(Spikes(counts[codes.shape[1]], worth), codes)

        return {"event": event, "whole": whole, "torch": torch_product}

    return ways


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _codes(rows: int, columns: int, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(-127, 128, (rows, columns), dtype=torch.int8, generator=draw)


def _counts(columns: int, silent: float) -> Tensor:
    """Counts of 1 and -1 at random places, the rest silent."""
    draw = torch.Generator().manual_seed(columns)
    counts = torch.ones(columns, dtype=torch.int8)
    counts[torch.rand(columns, generator=draw) < 0.5] = -1
    counts[torch.randperm(columns, generator=draw)[: round(columns * silent)]] = 0
    return counts
