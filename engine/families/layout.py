"""Decoders under Hugging Face names: projections one by one, joined here as the decoder runs them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.coding import Linear
from engine.config import KEY_GATE, ModelConfig
from engine.errors import ModelError
from engine.paging import converted
from engine.sources import Source
from engine.sparse_config import SparseStateConfig
from engine.weights import Experts, Gates, LayerWeights, LowRank, ModelWeights, SparseState
from kernels.int8 import Excess, quantize_groups

SCALES = ".weight_quantizer.scales"
BLOCK_ROWS = 2048
"""Rows quantised at a time, so that the float32 values in between stay small."""
EXCESS_RARE = 256
"""Where more than one weight in so many exceeds INT8, the layer is kept in float32."""


@dataclass(frozen=True, slots=True)
class Names:
    """What families call the same thing."""

    embedding: str
    attention: str
    attn_norm: str
    mlp_norm: str


@dataclass(frozen=True, slots=True)
class Part:
    """One projection of the checkpoint: its name, rows and columns, and whether it has a bias."""

    name: str
    rows: int
    columns: int
    bias: bool = False


LLAMA_NAMES = Names("model.embed_tokens", "self_attn", "input_layernorm", "post_attention_layernorm")
GLA_SWA_NAMES = Names("model.embeddings", "attn", "attn_norm", "mlp_norm")


def load_decoder(
    source: Source, config: ModelConfig, names: Names, spiking: bool, dtype: torch.dtype
) -> ModelWeights:
    """Dense weights in `dtype`, norms and gates in float32; W8ASpike weights as INT8 groups when spiking."""
    if spiking and config.spike is None:
        raise ModelError(
            "this checkpoint has no INT8 weights to run spike-coded", "Load it with spiking off."
        )
    reader = _Layout(source, config, names, spiking, dtype)
    layers = tuple(reader.layer(i) for i in range(config.num_layers))
    table = reader.dense(Part(names.embedding, config.vocab_size, config.hidden_size))
    if not config.tie_embeddings:
        head = reader.dense(Part("lm_head", config.vocab_size, config.hidden_size))
    else:
        head = table
        source.skip("lm_head.weight")
    sinks = None
    if config.learned_sinks:
        sinks = source.take("model.sink_tokens.weight", config.learned_sinks, config.hidden_size).float()
    return ModelWeights(table, layers, reader.norm("model.norm", config.hidden_size), head, None, sinks)


class _Layout:
    """Takes a checkpoint's tensors layer by layer."""

    def __init__(
        self, source: Source, config: ModelConfig, names: Names, spiking: bool, dtype: torch.dtype
    ) -> None:
        self._source, self._config, self._names = source, config, names
        self._spiking, self._dtype = spiking, dtype

    def layer(self, index: int) -> LayerWeights:
        c, base = self._config, f"model.layers.{index}."
        attn, mlp, width = f"{base}{self._names.attention}.", f"{base}mlp.", c.intermediate_size
        kind, beside = c.layers[index].sparse, attn
        if kind is not None:
            attn += "swa_"
        mixed = c.experts is not None and index in c.experts.layers
        if c.experts is not None and mixed:
            mlp, width = mlp + "shared_experts.", c.experts.shared * c.experts.width
        queries, keys = c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim
        qkv = (
            Part(attn + "q_proj", queries, c.hidden_size, c.qkv_bias),
            Part(attn + "k_proj", keys, c.hidden_size, c.qkv_bias),
            Part(attn + "v_proj", keys, c.hidden_size, c.qkv_bias),
        )
        down = Part(mlp + "down_proj", c.hidden_size, width)
        if c.spike is not None:  # the released model has these scales and computes with the plain weight
            self._source.skip(down.name + SCALES)
        return LayerWeights(
            attn_norm=self.norm(base + self._names.attn_norm, c.hidden_size),
            qkv=self._linear(*qkv),
            out=self._linear(Part(attn + "o_proj", c.hidden_size, queries)),
            gates=self._gates(attn, c.layers[index].window) if c.layers[index].linear else None,
            mlp_norm=self.norm(base + self._names.mlp_norm, c.hidden_size),
            gate_up=self._linear(
                Part(mlp + "gate_proj", width, c.hidden_size),
                Part(mlp + "up_proj", width, c.hidden_size),
            ),
            down=self.dense(down),
            q_norm=self.norm(attn + "q_norm", c.head_dim) if c.qk_norm else None,
            k_norm=self.norm(attn + "k_norm", c.head_dim) if c.qk_norm else None,
            experts=self._experts(base + "mlp.") if mixed else None,
            sparse=self._sparse(beside, kind) if kind is not None else None,
        )

    def _experts(self, mlp: str) -> Experts:
        """Gate and up projections are joined in the file, so that experts stay memory-mapped."""
        c = self._config
        assert c.experts is not None
        width, names = c.experts.width, [f"{mlp}experts.{i}." for i in range(c.experts.count)]
        return Experts(
            self._source.take(mlp + "router.weight", c.experts.count, c.hidden_size).float(),
            tuple(self.dense(Part(name + "gate_up_proj", 2 * width, c.hidden_size)) for name in names),
            tuple(self.dense(Part(name + "down_proj", c.hidden_size, width)) for name in names),
        )

    def _sparse(self, attn: str, kind: SparseStateConfig) -> SparseState:
        c, source = self._config, self._source
        d, dim, heads = c.hidden_size, c.head_dim, 2 * c.num_heads
        width = c.num_heads * dim
        q, k, v = (Part(f"{attn}sse_{name}_proj", width, d) for name in "qkv")
        low, up = ([f"{attn}lora_{name}_proj.{step}" for name in "qk"] for step in (0, 1))
        gates = [source.take(f"{attn}sse_{name}_proj.weight", heads, d).float() for name in "ab"]
        return SparseState(
            qkv=self._linear(q, k, v),
            low=self.dense(*(Part(name, dim, d) for name in low)).weight,
            up_q=self.dense(Part(up[0], width, dim)).weight,
            up_k=self.dense(Part(up[1], width, dim)).weight,
            gates=torch.cat(gates),
            decay=-source.take(attn + "A_log", heads).float().exp(),
            bias=source.take(attn + "dt_bias", heads).float(),
            router=source.take(attn + "sse_e_proj.weight", kind.partitions, d).float(),
            norm=self.norm(attn + "sse_o_norm", dim),
            out=self._linear(Part(attn + "sse_o_proj", d, width)),
            merge_norm=self.norm(attn + "sse_merge_norm", d),
            window_norm=self.norm(attn + "swa_merge_norm", d),
        )

    def norm(self, name: str, width: int) -> Tensor:
        return self._source.take(name + ".weight", width).float()

    def dense(self, *parts: Part) -> Linear:
        """Joined and converted part by part, so that no more than one part is held twice."""
        if len(parts) == 1:
            return Linear(converted(self._weight(parts[0]), self._dtype), bias=self._bias(parts))
        rows = [part.rows for part in parts]
        joined: Tensor | None = None
        for i, part in enumerate(parts):
            weight = self._weight(part)
            if joined is None:
                joined = torch.empty(sum(rows), part.columns, dtype=self._dtype, device=weight.device)
            joined[sum(rows[:i]) : sum(rows[: i + 1])] = weight
        assert joined is not None
        return Linear(joined, bias=self._bias(parts))

    def _weight(self, part: Part) -> Tensor:
        return self._source.take(part.name + ".weight", part.rows, part.columns)

    def _bias(self, parts: tuple[Part, ...]) -> Tensor | None:
        """float32 when spiking, where it is added to a float32 product, else as the weight."""
        kind = torch.float32 if self._spiking else self._dtype
        found = [self._source.take(part.name + ".bias", part.rows).to(kind) for part in parts if part.bias]
        return torch.cat(found) if found else None

    def _linear(self, *parts: Part) -> Linear:
        """A layer that W8ASpike quantises."""
        if self._spiking:
            return self._quantised(parts)
        if self._config.spike is not None:
            for part in parts:
                self._source.skip(part.name + SCALES)
        return self.dense(*parts)

    def _quantised(self, parts: tuple[Part, ...]) -> Linear:
        codes = torch.empty(sum(part.rows for part in parts), parts[0].columns, dtype=torch.int8)
        scales, over, start = [], [], 0
        for part in parts:
            blocks = (x.split(BLOCK_ROWS) for x in (self._weight(part), self._scale(part)))
            for weight, scale in zip(*blocks, strict=True):
                held, used, excess = quantize_groups(weight.float(), scale)
                codes[start : start + len(held)] = held
                scales.append(used)
                if excess is not None:
                    over.append(Excess(excess.rows + start, excess.columns, excess.values))
                start += len(held)
        scale, excess, bias = torch.cat(scales), _joined(over), self._bias(parts)
        if excess is not None and len(excess.rows) * EXCESS_RARE > codes.numel():
            return Linear(_dequantised(codes, scale, excess), bias=bias)
        return Linear(codes, scale, bias, excess)

    def _scale(self, part: Part) -> Tensor:
        """The scales [N, G] of a layer; ModelError where they do not cut its inputs into groups."""
        scale = self._source.take(part.name + SCALES).float()
        fits = scale.ndim == 3 and scale.shape[0] == part.rows and scale.shape[2] == 1
        if not fits or part.columns % scale.shape[1]:
            raise ModelError(
                f"tensor {part.name + SCALES!r} has shape {list(scale.shape)}, which does not cut "
                f"{part.columns} inputs of {part.rows} outputs into groups"
            )
        if not bool((scale > 0).all()):
            raise ModelError(f"tensor {part.name + SCALES!r} holds scales that are not positive")
        return scale[..., 0]

    def _gates(self, attn: str, window: int | None) -> Gates:
        c = self._config
        width, name = c.num_kv_heads * c.head_dim, attn + "gk_proj"
        decay: LowRank | Linear | None = None
        if c.gate_rank == 0:
            decay = self._linear(Part(name, width, c.hidden_size, True))
        elif c.gate_rank != KEY_GATE:
            decay = LowRank(
                down=self._source.take(f"{name}.0.weight", c.gate_rank, c.hidden_size).float(),
                up=self._source.take(f"{name}.1.weight", width, c.gate_rank).float(),
                bias=self._source.take(f"{name}.1.bias", width).float(),
            )
        beside = self.norm(attn + "s_norm", c.head_dim) if window is not None else None
        return Gates(decay, self.norm(attn + "g_norm", c.head_dim), None, beside)


def _joined(parts: list[Excess]) -> Excess | None:
    if not parts:
        return None
    rows, columns = torch.cat([e.rows for e in parts]), torch.cat([e.columns for e in parts])
    return Excess(rows, columns, torch.cat([e.values for e in parts]))


def _dequantised(codes: Tensor, scale: Tensor, excess: Excess) -> Tensor:
    """float32 [N, K]."""
    weight = codes.float() * scale.repeat_interleave(codes.shape[1] // scale.shape[1], dim=1)
    weight[excess.rows, excess.columns] += excess.values
    return weight
