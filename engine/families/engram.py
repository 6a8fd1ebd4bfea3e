"""Our own format: INT8 codes with a scale per row, one memory-mapped file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.config import LayerConfig, ModelConfig, SpikeConfig
from engine.config_reader import ConfigReader

if TYPE_CHECKING:
    import torch

    from engine.sources import Source
    from engine.weights import Gates, ModelWeights, RecallWeights


def parse(reader: ConfigReader) -> ModelConfig:
    """The config that `engine.prepare` writes."""
    reader.ignore(frozenset({"format", "source"}))
    windows, linear = reader.take("windows"), reader.take("linear_layers")
    return ModelConfig(
        model_type="engram",
        vocab_size=reader.take("vocab_size"),
        hidden_size=reader.take("hidden_size"),
        intermediate_size=reader.take("intermediate_size"),
        num_heads=reader.take("num_heads"),
        num_kv_heads=reader.take("num_kv_heads"),
        head_dim=reader.take("head_dim"),
        norm_eps=reader.take("norm_eps"),
        rope_theta=reader.take("rope_theta"),
        tie_embeddings=True,
        qkv_bias=False,
        qk_norm=False,
        sinks=reader.take("sinks"),
        gate_rank=reader.take("gate_rank"),
        gate_normalizer=reader.take("gate_normalizer"),
        layers=tuple(LayerConfig(window, i in linear) for i, window in enumerate(windows)),
        spike=SpikeConfig.of(reader.take("spike_k"), len(windows)),
        grounded=reader.take("grounded", False),
    )


def load(source: Source, config: ModelConfig, spiking: bool, dtype: torch.dtype) -> ModelWeights:
    """INT8 codes [N, K] with a scale per row; kept so when spiking, else dequantised to `dtype`."""
    from engine.coding import Linear
    from engine.sources import CODES
    from engine.weights import LayerWeights, ModelWeights

    def linear(name: str, rows: int, columns: int) -> Linear:
        codes = source.take(f"{name}.codes", rows, columns, dtypes=CODES)
        scale = source.take(f"{name}.scale", rows)
        return Linear(codes, scale) if spiking else Linear((codes.float() * scale[:, None]).to(dtype))

    width, dim = config.hidden_size, config.head_dim
    layers = []
    for i, layer in enumerate(config.layers):
        prefix = f"layers.{i}."
        layers.append(
            LayerWeights(
                attn_norm=source.take(prefix + "attn_norm", width),
                qkv=linear(prefix + "qkv", (config.num_heads + 2 * config.num_kv_heads) * dim, width),
                out=linear(prefix + "out", width, config.num_heads * dim),
                gates=_gates(source, prefix, config) if layer.linear else None,
                mlp_norm=source.take(prefix + "mlp_norm", width),
                gate_up=linear(prefix + "gate_up", 2 * config.intermediate_size, width),
                down=linear(prefix + "down", width, config.intermediate_size),
            )
        )
    table = linear("embedding", config.vocab_size, width)
    return ModelWeights(
        table, tuple(layers), source.take("norm", width), table, _recall(source, width, config.vocab_size)
    )


def _recall(source: Source, width: int, vocabulary: int) -> RecallWeights | None:
    from engine.sources import INDICES
    from engine.weights import RecallWeights

    if not source.has("recall.projection"):
        return None
    projection = source.take("recall.projection")
    return RecallWeights(
        layer=int(source.take("recall.layer", 1, dtypes=INDICES)[0]),
        mean=source.take("recall.mean", width),
        projection=projection,
        query_mean=source.take("recall.query_mean", width),
        query_projection=source.take("recall.query_projection", *projection.shape),
        salience=source.take("recall.salience", vocabulary) if source.has("recall.salience") else None,
    )


def _gates(source: Source, prefix: str, config: ModelConfig) -> Gates | None:
    """None while untrained: the branch then adds exactly nothing."""
    from engine.weights import Gates, LowRank

    if not source.has(prefix + "gate.mix"):
        return None
    width = config.num_kv_heads * config.head_dim
    decay = LowRank(
        down=source.take(prefix + "gate.down", config.gate_rank, config.hidden_size),
        up=source.take(prefix + "gate.up", width, config.gate_rank),
        bias=source.take(prefix + "gate.bias", width),
    )
    norm = source.take(prefix + "gate.norm", config.head_dim)
    return Gates(decay, norm, mix=source.take(prefix + "gate.mix", config.num_heads))
