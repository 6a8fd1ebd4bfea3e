"""SpikingBrain-76B-A12B (arXiv 2509.05276): attention branches in parallel, experts, learned sinks.

Given by the report: 28 layers built from Qwen2.5-7B; in every layer linear attention, its gate tied to the
key, beside a sliding window, or beside full attention in layers 7, 14, 21 and 28; both outputs normalised,
then summed; 128 sink tokens that all tokens see and that see each other without causal mask; 16 routed
experts of which one is active and one shared, dense feed-forward parts in layers 1, 2, 3, 5, 7, 9 and 11;
76 billion parameters, 12 of them active. No weights and no tensor names are published. Derived here:

* An expert is as wide as the dense feed-forward part (18944), as upcycling leaves it: 21 layers of 17
  experts, 7 dense ones, attention and two tables are 76.06 billion, of which a token meets 11.89.
* Both branches share the projections of queries, keys, values and output (a second set would make 76.9);
  heads are normalised over their D channels, as `g_norm` does in the 7B.
* Sinks are embeddings before the first token; the recurrence of linear attention reads them in order.

The same family holds whatever `python -m engine.convert upcycle` makes of a dense checkpoint: layers with
one branch alone, no sinks, the 7B's low-rank gates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.config import FULL_ATTENTION, KEY_GATE, ExpertConfig, LayerConfig, ModelConfig
from engine.config_reader import SILENT, ConfigReader
from engine.errors import ModelError
from engine.families.gla_swa import GATE_NORMALIZER, GATE_RANK

if TYPE_CHECKING:
    import torch

    from engine.sources import Source
    from engine.weights import ModelWeights


def parse(reader: ConfigReader) -> ModelConfig:
    """Layers count from 0; a window layer sees `sliding_window` keys besides the query's own."""
    reader.ignore(SILENT)
    reader.expect("hidden_act", ("silu", "swish"))
    hidden, heads = reader.whole("hidden_size"), reader.whole("num_attention_heads")
    count = reader.whole("num_hidden_layers")
    layers = _layers(reader, count)
    tied = _choice(reader, "linear_gate", ("key", "low_rank")) == "key"
    return ModelConfig(
        model_type="gla_swa_moe",
        vocab_size=reader.whole("vocab_size"),
        hidden_size=hidden,
        intermediate_size=reader.whole("intermediate_size"),
        num_heads=heads,
        num_kv_heads=reader.whole("num_key_value_heads", heads),
        head_dim=reader.whole("head_dim", hidden // heads),
        norm_eps=reader.number("norm_eps"),
        rope_theta=reader.number("rope_theta"),
        tie_embeddings=bool(reader.take("tie_word_embeddings", False)),
        qkv_bias=bool(reader.take("qkv_bias", True)),
        qk_norm=bool(reader.take("qk_norm", False)),
        sinks=0,
        gate_rank=KEY_GATE if tied else GATE_RANK,
        gate_normalizer=1.0 if tied else GATE_NORMALIZER,
        layers=layers,
        spike=None,
        learned_sinks=_count(reader, "num_sink_tokens"),
        experts=_experts(reader, count),
    )


def load(source: Source, config: ModelConfig, spiking: bool, dtype: torch.dtype) -> ModelWeights:
    """The 7B's names, and `mlp.router`, `mlp.experts.{i}.gate_up_proj`, `.down_proj`, `mlp.shared_experts.*`,
    `attn.s_norm` (of the softmax heads, where both branches run), `model.sink_tokens`.
    """
    from engine.families.layout import GLA_SWA_NAMES, load_decoder

    return load_decoder(source, config, GLA_SWA_NAMES, spiking, dtype)


def _layers(reader: ConfigReader, count: int) -> tuple[LayerConfig, ...]:
    windowed, full, linear = (
        _indices(reader, key, count) for key in ("window_layers", "full_layers", "linear_layers")
    )
    if both := windowed & full:
        raise ModelError(f"config.json: layers {sorted(both)} are in window_layers and in full_layers")
    if bare := set(range(count)) - windowed - full - linear:
        raise ModelError(
            f"config.json: layers {sorted(bare)} have no attention",
            "Name them in window_layers, full_layers or linear_layers.",
        )
    width = reader.whole("sliding_window") if windowed else reader.take("sliding_window", None)
    softmax = dict.fromkeys(windowed, width) | dict.fromkeys(full, FULL_ATTENTION)
    return tuple(LayerConfig(softmax.get(i), i in linear) for i in range(count))


def _experts(reader: ConfigReader, count: int) -> ExpertConfig:
    experts, active = reader.whole("num_experts"), reader.whole("num_experts_per_tok")
    if active > experts:
        raise ModelError(
            f"config.json: num_experts_per_tok = {active} is more than num_experts = {experts}",
            "Each token meets at most all experts.",
        )
    dense = _indices(reader, "dense_layers", count)
    shared, width = reader.whole("num_shared_experts"), reader.whole("moe_intermediate_size")
    return ExpertConfig(experts, active, shared, width, frozenset(range(count)) - dense)


def _indices(reader: ConfigReader, key: str, count: int) -> frozenset[int]:
    value = reader.take(key)
    good = isinstance(value, list) and all(type(i) is int and 0 <= i < count for i in value)
    if not good:
        raise ModelError(f"config.json: {key} = {value!r} is not a list of layers from 0 to {count - 1}")
    return frozenset(value)


def _count(reader: ConfigReader, key: str) -> int:
    value = reader.take(key)
    if type(value) is not int or value < 0:
        raise ModelError(f"config.json: {key} = {value!r} is not a number of tokens")
    return value


def _choice(reader: ConfigReader, key: str, allowed: tuple[str, ...]) -> str:
    value = reader.take(key)
    if value not in allowed:
        raise ModelError(f"config.json: {key} = {value!r} is not supported", f"Supported: {allowed}.")
    return str(value)
