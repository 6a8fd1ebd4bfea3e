"""Llama and its like: full softmax attention under Hugging Face's names. The Qwen families build on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.config import FULL_ATTENTION, LayerConfig, ModelConfig, SpikeConfig
from engine.config_reader import SILENT, ConfigReader
from engine.errors import ModelError
from engine.families.gla_swa import SPIKE_K

if TYPE_CHECKING:
    import torch

    from engine.sources import Source
    from engine.weights import ModelWeights


def parse(reader: ConfigReader) -> ModelConfig:
    """The config of transformers' Llama."""
    reader.expect("attention_bias", (False,))
    return parse_transformer(reader, "llama", qkv_bias=False, qk_norm=False)


def parse_transformer(
    reader: ConfigReader,
    model_type: str,
    *,
    qkv_bias: bool,
    qk_norm: bool,
    head_dim: int | None = None,
    windows: tuple[int, ...] | None = None,
) -> ModelConfig:
    """What Llama and Qwen share; `head_dim` where the file has none; `windows` by layer, else all full."""
    reader.ignore(SILENT)
    reader.expect("hidden_act", ("silu", "swish"))
    reader.expect("mlp_bias", (False,))
    reader.expect("rope_scaling", (None,))
    hidden, heads = reader.whole("hidden_size"), reader.whole("num_attention_heads")
    theta = reader.number("rope_theta", 10000.0)
    parameters = reader.take("rope_parameters", None) or {}
    if parameters.get("rope_type", "default") != "default":
        raise ModelError(
            f"config.json: rope_parameters.rope_type = {parameters['rope_type']!r} is not supported",
            "Supported: 'default'.",
        )
    layers = windows or (FULL_ATTENTION,) * reader.whole("num_hidden_layers")
    return ModelConfig(
        model_type=model_type,
        vocab_size=reader.whole("vocab_size"),
        hidden_size=hidden,
        intermediate_size=reader.whole("intermediate_size"),
        num_heads=heads,
        num_kv_heads=reader.whole("num_key_value_heads", heads),
        head_dim=reader.take("head_dim", None) or head_dim or hidden // heads,
        norm_eps=reader.number("rms_norm_eps"),
        rope_theta=float(parameters.get("rope_theta", theta)),
        tie_embeddings=bool(reader.take("tie_word_embeddings", False)),
        qkv_bias=qkv_bias,
        qk_norm=qk_norm,
        sinks=0,
        gate_rank=0,
        gate_normalizer=1.0,
        layers=tuple(LayerConfig(window, False) for window in layers),
        spike=SpikeConfig(SPIKE_K, w8aspike=True) if reader.quantised else None,
    )


def load(source: Source, config: ModelConfig, spiking: bool, dtype: torch.dtype) -> ModelWeights:
    """Hugging Face's Llama names."""
    from engine.families.layout import LLAMA_NAMES, load_decoder

    return load_decoder(source, config, LLAMA_NAMES, spiking, dtype)
