"""SpikingBrain-2.0 (arXiv 2604.22575): sparse states beside windows, softmax over blocks of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.config import LayerConfig, ModelConfig
from engine.config_reader import SILENT, ConfigReader
from engine.errors import ModelError
from engine.sparse_config import MemoryConfig, SparseStateConfig

if TYPE_CHECKING:
    import torch

    from engine.sources import Source
    from engine.weights import ModelWeights

FEED_FORWARD_STEP = 256
# They pick a kernel or serve training.
IDLE = frozenset(
    "attn_mode aux_loss_coef conv_size fuse_cross_entropy fuse_linear_cross_entropy fuse_norm fuse_swiglu "
    "swa_dropout use_l2warp".split()
)


def parse(reader: ConfigReader) -> ModelConfig:
    """The released config (golden README 7.1); a window layer sees `window_size` keys, its own included."""
    reader.ignore(SILENT | IDLE)
    reader.expect("hidden_act", ("swish", "silu"))
    for key in ("allow_neg_eigval", "sse_qk_relu", "use_output_gate", "use_short_conv"):
        reader.expect(key, (False,))
    reader.expect("linear_attn_type", ("gdn",))
    reader.expect("sse_implementation", ("varlen",))
    reader.expect("rope_scaling", (None,))
    reader.expect("expand_v", (1,))
    hidden, heads, count = (reader.whole(x) for x in ("hidden_size", "num_heads", "num_hidden_layers"))
    reader.expect("num_v_heads", (heads, None))
    attention = _attention(reader.take("attn"))
    attention.expect("attn.num_heads", (heads,))
    config = ModelConfig(
        model_type="sse_swa_moba",
        vocab_size=reader.whole("vocab_size"),
        hidden_size=hidden,
        intermediate_size=_feed_forward(reader, hidden),
        num_heads=heads,
        num_kv_heads=attention.whole("attn.num_kv_heads", heads),
        head_dim=reader.whole("head_dim"),
        norm_eps=reader.number("norm_eps"),
        rope_theta=attention.number("attn.rope_theta"),
        tie_embeddings=bool(reader.take("tie_word_embeddings", False)),
        qkv_bias=bool(attention.take("attn.qkv_bias", False)),
        qk_norm=bool(attention.take("attn.qk_norm", False)),
        sinks=0,
        gate_rank=0,
        gate_normalizer=1.0,
        layers=_layers(attention, count, _sparse(reader)),
        spike=None,
    )
    attention.finish()
    return config


def load(source: Source, config: ModelConfig, spiking: bool, dtype: torch.dtype) -> ModelWeights:
    """Names of golden README 7.2."""
    from engine.families.layout import GLA_SWA_NAMES, load_decoder

    return load_decoder(source, config, GLA_SWA_NAMES, spiking, dtype)


def _attention(value: Any) -> ConfigReader:
    """The keys of `attn`, with that in their names."""
    if not isinstance(value, dict):
        raise ModelError(f"config.json: attn = {value!r} is not an object")
    return ConfigReader({f"attn.{key}": item for key, item in value.items()})


def _feed_forward(reader: ConfigReader, hidden: int) -> int:
    """The width given, or two thirds of the ratio in whole steps."""
    ratio = reader.number("hidden_ratio", 4)
    step = FEED_FORWARD_STEP
    return reader.whole("intermediate_size", -(-int(hidden * ratio * 2 / 3) // step) * step)


def _sparse(reader: ConfigReader) -> SparseStateConfig:
    partitions, writers = reader.whole("num_sparse_partition"), reader.whole("num_writer")
    reader.expect("num_reader", (writers,))
    if writers >= partitions:
        raise ModelError(f"config.json: num_writer = {writers} is not below num_sparse_partition")
    return SparseStateConfig(partitions, writers)


def _layers(attention: ConfigReader, count: int, sparse: SparseStateConfig) -> tuple[LayerConfig, ...]:
    softmax = _listed(attention, "attn.layers", count)
    full = _listed(attention, "attn.full_layers", count)
    if not full <= softmax:
        raise ModelError(
            f"config.json: attn.full_layers names layers {sorted(full - softmax)} beside attn.layers"
        )
    block, topk = attention.whole("attn.moba_chunk_size"), attention.whole("attn.moba_topk")
    window = attention.whole("attn.window_size")

    def layer(i: int) -> LayerConfig:
        if i not in softmax:
            return LayerConfig(window - 1, False, sparse=sparse)
        return LayerConfig(None, False, memory=MemoryConfig(block, None if i in full else topk))

    return tuple(layer(i) for i in range(count))


def _listed(attention: ConfigReader, key: str, count: int) -> frozenset[int]:
    value = attention.take(key, [])
    good = isinstance(value, list) and all(isinstance(i, int) and 0 <= i < count for i in value)
    if not good:
        raise ModelError(f"config.json: {key} = {value!r} is not a list of layers below {count}")
    return frozenset(value)
