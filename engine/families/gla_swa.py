"""SpikingBrain-7B (arXiv 2509.05276) and its W8ASpike: gated linear attention and windows alternate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.config import LayerConfig, ModelConfig, SpikeConfig
from engine.config_reader import SILENT, ConfigReader
from engine.errors import ModelError

if TYPE_CHECKING:
    import torch

    from engine.sources import Source
    from engine.weights import ModelWeights

GATE_RANK = 16
GATE_NORMALIZER = 16.0
SPIKE_K = 3.0
# They pick a kernel or serve training; quant_weight_group_size is read by nobody, shapes tell the group.
IDLE = frozenset("attn_mode conv_size elementwise_affine fuse_cross_entropy quant_weight_group_size".split())


def parse(reader: ConfigReader) -> ModelConfig:
    """The released config; a window layer sees `sliding_window` keys besides the query's own."""
    reader.ignore(SILENT | IDLE)
    reader.expect("hidden_act", ("swish", "silu"))
    reader.expect("use_short_conv", (False,))
    hidden, heads = reader.whole("hidden_size"), reader.whole("num_attention_heads")
    count, window = reader.whole("num_hidden_layers"), reader.whole("sliding_window")
    windowed = _layers(reader.take("attn_layers", list(range(1, count, 2))), count)
    return ModelConfig(
        model_type="gla_swa",
        vocab_size=reader.whole("vocab_size"),
        hidden_size=hidden,
        intermediate_size=reader.whole("intermediate_size"),
        num_heads=heads,
        num_kv_heads=reader.whole("num_key_value_heads", heads),
        head_dim=hidden // heads,
        norm_eps=reader.number("norm_eps"),
        rope_theta=reader.number("rope_theta"),
        tie_embeddings=bool(reader.take("tie_word_embeddings", False)),
        qkv_bias=True,
        qk_norm=False,
        sinks=0,
        gate_rank=0 if reader.quantised else GATE_RANK,
        gate_normalizer=GATE_NORMALIZER,
        layers=tuple(
            LayerConfig(window, False) if i in windowed else LayerConfig(None, True) for i in range(count)
        ),
        spike=SpikeConfig(SPIKE_K, w8aspike=True) if reader.quantised else None,
    )


def load(source: Source, config: ModelConfig, spiking: bool, dtype: torch.dtype) -> ModelWeights:
    """Names of golden README 3.2, and 4.1 for W8ASpike."""
    from engine.families.layout import GLA_SWA_NAMES, load_decoder

    return load_decoder(source, config, GLA_SWA_NAMES, spiking, dtype)


def _layers(value: Any, count: int) -> frozenset[int]:
    good = isinstance(value, list) and all(isinstance(i, int) and 0 <= i < count for i in value)
    if not good:
        raise ModelError(
            f"config.json: attn_layers = {value!r} is not a list of layers below {count}",
            "It names the window layers.",
        )
    return frozenset(value)
