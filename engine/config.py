"""Architecture of a model: frozen, complete, unknown keys refused."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.config_reader import ConfigReader
from engine.errors import ModelError
from engine.sparse_config import MemoryConfig, SparseStateConfig, describe_branches

FULL_ATTENTION = -1
KEY_GATE = -1


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """Attention branches of one layer.

    `window`: keys seen besides the query's own (FULL_ATTENTION for all, None for no softmax branch);
    `linear`: a gated linear attention branch; both together run in parallel and are summed. `memory`: a
    softmax branch by blocks, alone; `sparse`: sparse state expansion beside a window, both normalised.
    """

    window: int | None
    linear: bool
    memory: MemoryConfig | None = None
    sparse: SparseStateConfig | None = None

    def state_bytes(self, config: "ModelConfig", element_bytes: int) -> int:
        """Bytes of the sparse states, the same at any length of context."""
        sparse = self.sparse
        return 0 if sparse is None else sparse.state_bytes(config.num_heads, config.head_dim)

    def growth_bytes_per_token(self, config: "ModelConfig", element_bytes: int) -> int:
        """Bytes that a token adds to a memory by blocks, whose keys take `element_bytes` a number."""
        width = config.num_kv_heads * config.head_dim
        return 0 if self.memory is None else self.memory.growth_bytes_per_token(width, element_bytes)


@dataclass(frozen=True, slots=True)
class SpikeConfig:
    """Spike-coded activations: `k` is the threshold factor, threshold = mean(|x|) / k (DESIGN 3.4); `layers`
    gives each layer its own in place of it.

    `w8aspike`: the released form (golden README 4): weights INT8 by groups of input channels, the down
    projection and the head left plain, window queries spike-coded and their keys and values INT8. Otherwise
    ours: weights INT8 by row, every linear layer coded, attention in floating point.
    """

    k: float
    w8aspike: bool = False
    layers: tuple[float, ...] = ()

    @staticmethod
    def of(given: Any, layers: int) -> "SpikeConfig":
        """From `spike_k` of a config.json: one factor, or one a layer (the commonest stands for all)."""
        factors = tuple(given) if isinstance(given, list) else ()
        if factors and len(factors) != layers:
            raise ModelError(f"config.json: spike_k has {len(factors)} factors for {layers} layers")
        for k in factors or (given,):
            if isinstance(k, bool) or not isinstance(k, int | float) or k <= 0:
                raise ModelError(f"config.json: spike_k = {k!r} is not a positive number")
        if len(set(factors)) < 2:
            return SpikeConfig(factors[0] if factors else given)
        return SpikeConfig(max(factors, key=factors.count), layers=factors)


@dataclass(frozen=True, slots=True)
class ExpertConfig:
    """Mixture of experts in the feed-forward part of `layers`: `active` of `count` routed experts a token,
    and `shared` ones for every token, each `width` wide.
    """

    count: int
    active: int
    shared: int
    width: int
    layers: frozenset[int]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything that fixes a model's arithmetic.

    `gate_rank` 0 is a gate of one full matrix, KEY_GATE one tied to the key (decay = 1 - key, queries and
    keys through a sigmoid). `learned_sinks`: learnable tokens before every context. `grounded`:
    trained to answer from passages in the form of `engine.grounded`.
    """

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
    qk_norm: bool
    sinks: int
    gate_rank: int
    gate_normalizer: float
    layers: tuple[LayerConfig, ...]
    spike: SpikeConfig | None
    grounded: bool = False
    learned_sinks: int = 0
    experts: ExpertConfig | None = None

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

    def parameter_count(self, active: bool = False) -> int:
        """Weights of the decoder, gates left out; with `active` those that one token meets."""
        attention = self.hidden_size * self.head_dim * (2 * self.num_heads + 2 * self.num_kv_heads)
        tables = self.vocab_size * self.hidden_size * (1 if self.tie_embeddings else 2)
        total = self.num_layers * (attention + 2 * self.hidden_size) + tables + self.hidden_size
        mixed, width = 0, 3 * self.hidden_size
        if self.experts is not None:
            e, mixed = self.experts, len(self.experts.layers)
            total += mixed * (width * e.width * (e.shared + (e.active if active else e.count)))
            total += mixed * self.hidden_size * e.count
        shape = self.hidden_size, self.num_heads, self.head_dim
        total += sum(
            layer.sparse.parameter_count(*shape) for layer in self.layers if layer.sparse is not None
        )
        return total + (self.num_layers - mixed) * width * self.intermediate_size

    def describe(self) -> str:
        """One line for people."""
        windows = {layer.window for layer in self.layers if layer.window is not None}
        parts = [f"{self.parameter_count() / 1e6:.0f} M parameters", f"{self.num_layers} layers"]
        if FULL_ATTENTION in windows:
            full = sum(layer.window == FULL_ATTENTION for layer in self.layers)
            parts.append("full attention" + (f" in {full} layers" if full < self.num_layers else ""))
        if sizes := ", ".join(f"{w:,}" for w in sorted(windows - {FULL_ATTENTION})):
            parts.append(f"sliding window {sizes}" + (f" with {self.sinks} sinks" if self.sinks else ""))
        if self.learned_sinks:
            parts.append(f"{self.learned_sinks} learned sinks")
        linear = sum(layer.linear for layer in self.layers)
        if linear:
            parts.append(f"gated linear attention in {linear} layers")
        parts += describe_branches([x.memory for x in self.layers], [x.sparse for x in self.layers])
        if self.experts is not None:
            e, used = self.experts, self.parameter_count(active=True) / 1e6
            parts.append(
                f"{e.active} of {e.count} experts + {e.shared} shared in {len(e.layers)} layers, "
                f"{used:.0f} M active"
            )
        own = f" ({self.spike.layers[0]:g} at first)" if self.spike and self.spike.layers else ""
        coded = f"spike-coded activations, k = {self.spike.k:g}{own}" if self.spike else "dense activations"
        parts.append(coded)
        return f"{self.model_type}: " + ", ".join(parts)


def with_threshold(config: ModelConfig, k: float | None) -> tuple[ModelConfig, str]:
    """The config with threshold factor `k`, and what that adds to the model's identity: nothing if `k` is
    None or the model's own, or nothing is spike-coded.
    """
    if config.spike is None or k in (None, config.spike.k):
        return config, ""
    assert k is not None
    return replace(config, spike=replace(config.spike, k=k, layers=())), f":k={k:g}"


def parse_config(raw: Mapping[str, Any], quantised: bool = False) -> ModelConfig:
    """The config of a checkpoint folder's `config.json`; ModelError names what is unknown or missing.

    `quantised`: the checkpoint's tensors include `weight_quantizer.scales` (W8ASpike), which its config does
    not tell.
    """
    from engine.families import FAMILIES  # families build on this module

    kind = raw.get("model_type")
    family = FAMILIES.get(str(kind))
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise ModelError(f"unknown model type {kind!r}", f"Engram runs: {known}.", "unknown_model_type")
    reader = ConfigReader(raw, quantised)
    reader.take("model_type")
    config = family.parse(reader)
    reader.finish()
    return config
