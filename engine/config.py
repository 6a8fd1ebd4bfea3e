"""Architecture of a model: frozen, complete, unknown keys refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import ModelError

FULL_ATTENTION = -1


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """Attention branches of one layer.

    `window`: keys seen besides the query's own (FULL_ATTENTION for all, None for no softmax branch);
    `linear`: a gated linear attention branch; both together run in parallel and are summed.
    """

    window: int | None
    linear: bool


@dataclass(frozen=True, slots=True)
class SpikeConfig:
    """Spike-coded activations: `k` is the threshold factor, threshold = mean(|x|) / k (DESIGN 3.4)."""

    k: float


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything that fixes a model's arithmetic."""

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    norm_eps: float
    rope_theta: float
    tie_embeddings: bool
    qkv_bias: bool
    sinks: int
    gate_rank: int
    gate_normalizer: float
    layers: tuple[LayerConfig, ...]
    spike: SpikeConfig | None

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise ModelError(
                f"{self.num_heads} heads cannot be shared among {self.num_kv_heads} key/value heads",
                "Check num_attention_heads and num_key_value_heads in config.json.",
            )
        if self.head_dim % 2:
            raise ModelError(f"head_dim {self.head_dim} is odd, rotary positions need it even")

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return len(self.layers)

    def parameter_count(self) -> int:
        """Weights of the dense decoder, gates left out."""
        attention = self.hidden_size * self.head_dim * (2 * self.num_heads + 2 * self.num_kv_heads)
        feed_forward = 3 * self.hidden_size * self.intermediate_size
        tables = self.vocab_size * self.hidden_size * (1 if self.tie_embeddings else 2)
        return self.num_layers * (attention + feed_forward + 2 * self.hidden_size) + tables + self.hidden_size

    def describe(self) -> str:
        """One line for people."""
        windows = {layer.window for layer in self.layers if layer.window is not None}
        parts = [f"{self.parameter_count() / 1e6:.0f} M parameters", f"{self.num_layers} layers"]
        if FULL_ATTENTION in windows:
            parts.append("full attention")
        elif windows:
            sizes = ", ".join(f"{w:,}" for w in sorted(windows))
            parts.append(f"sliding window {sizes}" + (f" with {self.sinks} sinks" if self.sinks else ""))
        linear = sum(layer.linear for layer in self.layers)
        if linear:
            parts.append(f"gated linear attention in {linear} layers")
        parts.append(f"spike-coded activations, k = {self.spike.k:g}" if self.spike else "dense activations")
        return f"{self.model_type}: " + ", ".join(parts)


def parse_config(raw: Mapping[str, Any]) -> ModelConfig:
    """The config of a checkpoint folder's `config.json`; ModelError names what is unknown or missing."""
    kind = raw.get("model_type")
    parser = _PARSERS.get(str(kind))
    if parser is None:
        known = ", ".join(sorted(_PARSERS))
        raise ModelError(f"unknown model type {kind!r}", f"Engram runs: {known}.", "unknown_model_type")
    return parser(_Reader(raw))


class _Reader:
    """Takes keys out of a raw config and reports what was not taken."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = dict(raw)

    def take(self, key: str, *default: Any) -> Any:
        if key not in self._raw and not default:
            raise ModelError(f"config.json lacks the key {key!r}", "The checkpoint folder is incomplete.")
        return self._raw.pop(key, *default)

    def ignore(self, keys: frozenset[str]) -> None:
        for key in keys:
            self._raw.pop(key, None)

    def finish(self) -> None:
        if self._raw:
            names = ", ".join(sorted(self._raw))
            raise ModelError(
                f"config.json has keys that Engram does not know: {names}",
                "They may change the arithmetic. Remove them if they do not.",
                "unknown_config_key",
            )


_SILENT = frozenset(
    "architectures auto_map torch_dtype dtype transformers_version use_cache bos_token_id eos_token_id "
    "pad_token_id initializer_range max_position_embeddings is_llama_config rope_interleaved pretraining_tp "
    "transformers.js_config".split()
)


def _expect(value: Any, allowed: tuple[Any, ...], key: str) -> None:
    if value not in allowed:
        raise ModelError(f"config.json: {key} = {value!r} is not supported", f"Supported: {allowed}.")


def _llama(reader: _Reader) -> ModelConfig:
    reader.ignore(_SILENT)
    reader.take("model_type")
    hidden, heads = reader.take("hidden_size"), reader.take("num_attention_heads")
    _expect(reader.take("hidden_act", "silu"), ("silu", "swish"), "hidden_act")
    for key in ("attention_bias", "mlp_bias"):
        _expect(reader.take(key, False), (False,), key)
    _expect(reader.take("attention_dropout", 0.0), (0.0, 0), "attention_dropout")
    theta = reader.take("rope_theta", 10000.0)
    scaling = reader.take("rope_scaling", None)
    parameters = reader.take("rope_parameters", None)
    if parameters is not None:
        _expect(parameters.get("rope_type", "default"), ("default",), "rope_parameters.rope_type")
        theta = parameters.get("rope_theta", theta)
    _expect(scaling, (None,), "rope_scaling")
    layers = reader.take("num_hidden_layers")
    config = ModelConfig(
        model_type="llama",
        vocab_size=reader.take("vocab_size"),
        hidden_size=hidden,
        intermediate_size=reader.take("intermediate_size"),
        num_heads=heads,
        num_kv_heads=reader.take("num_key_value_heads", heads),
        head_dim=reader.take("head_dim", None) or hidden // heads,
        norm_eps=reader.take("rms_norm_eps"),
        rope_theta=float(theta),
        tie_embeddings=reader.take("tie_word_embeddings", False),
        qkv_bias=False,
        sinks=0,
        gate_rank=0,
        gate_normalizer=1.0,
        layers=(LayerConfig(FULL_ATTENTION, False),) * layers,
        spike=None,
    )
    reader.finish()
    return config


def _engram(reader: _Reader) -> ModelConfig:
    reader.ignore(frozenset({"format", "source"}))
    reader.take("model_type")
    windows, linear = reader.take("windows"), reader.take("linear_layers")
    spike = reader.take("spike_k")
    config = ModelConfig(
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
        sinks=reader.take("sinks"),
        gate_rank=reader.take("gate_rank"),
        gate_normalizer=reader.take("gate_normalizer"),
        layers=tuple(LayerConfig(window, i in linear) for i, window in enumerate(windows)),
        spike=SpikeConfig(spike),
    )
    reader.finish()
    return config


_PARSERS = {"engram": _engram, "llama": _llama}
