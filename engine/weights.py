"""Tensors of a checkpoint folder: memory-mapped, taken by name, nothing missing and nothing left over."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.coding import Linear
from engine.config import ModelConfig
from engine.errors import ModelError

HASH_WHOLE_BELOW = 1 << 30


@dataclass(frozen=True, slots=True)
class Gates:
    """Weights of one gated linear attention branch; `mix` [H] scales it in parallel use, None where it
    stands alone.
    """

    down: Tensor
    up: Tensor
    bias: Tensor
    norm: Tensor
    mix: Tensor | None


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer: `qkv` [(H + 2 Hk) D, d], `out` [d, H D], `gate_up` [2 I, d], `down` [d, I]."""

    attn_norm: Tensor
    qkv: Linear
    out: Linear
    gates: Gates | None
    mlp_norm: Tensor
    gate_up: Linear
    down: Linear


@dataclass(frozen=True, slots=True)
class RecallWeights:
    """Recall codes: mean hidden state after `layer` layers, minus a mean [d], times a projection [bits, d],
    by sign.

    Passages (read inside a stream) and questions (read alone) have their own mean and projection.
    """

    layer: int
    mean: Tensor
    projection: Tensor
    query_mean: Tensor
    query_projection: Tensor


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """All tensors of a decoder; `embedding` is looked up, `head` gives logits."""

    embedding: Linear
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Linear
    recall: RecallWeights | None

    def nbytes(self) -> int:
        """Bytes of all distinct tensors."""
        seen: dict[int, int] = {}

        def visit(value: Any) -> None:
            if isinstance(value, Tensor):
                seen[value.data_ptr()] = value.numel() * value.element_size()
            elif isinstance(value, tuple):
                for item in value:
                    visit(item)
            elif hasattr(value, "__dataclass_fields__"):
                for name in value.__dataclass_fields__:
                    visit(getattr(value, name))

        visit(self)
        return sum(seen.values())


class TensorSource:
    """Safetensors files of a folder (one, or sharded with an index), each tensor taken exactly once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = _tensor_files(folder)
        self._home: dict[str, Any] = {}
        for path in self.files:
            try:
                handle = safe_open(str(path), framework="pt")
            except (SafetensorError, OSError) as error:
                raise ModelError(
                    f"{path.name} cannot be read as safetensors: {error}",
                    "Download or prepare the file again.",
                ) from error
            for name in handle.keys():  # noqa: SIM118
                self._home[name] = handle
        self._left = set(self._home)

    def take(self, name: str, *shape: int) -> Tensor:
        """The tensor `name`; ModelError if it is missing or its shape is not `shape`."""
        if name not in self._home:
            raise ModelError(f"the checkpoint lacks the tensor {name!r}", "The download may be incomplete.")
        tensor: Tensor = self._home[name].get_tensor(name)
        if shape and tuple(tensor.shape) != shape:
            raise ModelError(
                f"tensor {name!r} has shape {list(tensor.shape)}, config.json asks for {list(shape)}"
            )
        self._left.discard(name)
        return tensor

    def has(self, name: str) -> bool:
        """Whether the checkpoint has a tensor of this name."""
        return name in self._home

    def finish(self) -> None:
        """ModelError if tensors were left over."""
        if self._left:
            some = ", ".join(sorted(self._left)[:5])
            raise ModelError(
                f"{len(self._left)} tensors of the checkpoint are not part of its architecture: {some}",
                "config.json and weights do not belong together.",
            )


def _tensor_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        files = [folder / Path(name).name for name in names]
    else:
        files = sorted(folder.glob("*.safetensors"))
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise ModelError(
            f"the checkpoint lacks the files {', '.join(missing)}", "Download them into the folder."
        )
    if not files:
        pickles = [p.name for pattern in ("*.bin", "*.pt", "*.pth") for p in folder.glob(pattern)]
        hint = (
            "Engram loads safetensors only, never pickles: convert the file."
            if pickles
            else "Is this a model folder?"
        )
        raise ModelError(f"no .safetensors file in {folder}", hint, "no_weights")
    return files


def weights_digest(files: list[Path]) -> str:
    """SHA-256 over the files; above 1 GiB a file counts by its header, size and 64 samples of 64 KiB."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}\n".encode())
        with open(path, "rb") as file:
            if size <= HASH_WHOLE_BELOW:
                while block := file.read(1 << 22):
                    digest.update(block)
                continue
            digest.update(file.read(1 << 20))
            for i in range(64):
                file.seek(size * i // 64)
                digest.update(file.read(1 << 16))
    return digest.hexdigest()


def load_engram(source: TensorSource, config: ModelConfig, spiking: bool, dtype: torch.dtype) -> ModelWeights:
    """Our own format: INT8 codes [N, K] with a scale per row; kept so when spiking, else dequantised to
    `dtype`.
    """

    def linear(name: str, rows: int, columns: int) -> Linear:
        codes, scale = source.take(f"{name}.codes", rows, columns), source.take(f"{name}.scale", rows)
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
                gates=_engram_gates(source, prefix, config) if layer.linear else None,
                mlp_norm=source.take(prefix + "mlp_norm", width),
                gate_up=linear(prefix + "gate_up", 2 * config.intermediate_size, width),
                down=linear(prefix + "down", width, config.intermediate_size),
            )
        )
    table = linear("embedding", config.vocab_size, width)
    return ModelWeights(
        table, tuple(layers), source.take("norm", width), table, _engram_recall(source, width)
    )


def _engram_recall(source: TensorSource, width: int) -> RecallWeights | None:
    if not source.has("recall.projection"):
        return None
    projection = source.take("recall.projection")
    return RecallWeights(
        layer=int(source.take("recall.layer", 1)[0]),
        mean=source.take("recall.mean", width),
        projection=projection,
        query_mean=source.take("recall.query_mean", width),
        query_projection=source.take("recall.query_projection", *projection.shape),
    )


def _engram_gates(source: TensorSource, prefix: str, config: ModelConfig) -> Gates | None:
    """None while untrained: the branch then adds exactly nothing."""
    if not source.has(prefix + "gate.mix"):
        return None
    width = config.num_kv_heads * config.head_dim
    return Gates(
        down=source.take(prefix + "gate.down", config.gate_rank, config.hidden_size),
        up=source.take(prefix + "gate.up", width, config.gate_rank),
        bias=source.take(prefix + "gate.bias", width),
        norm=source.take(prefix + "gate.norm", config.head_dim),
        mix=source.take(prefix + "gate.mix", config.num_heads),
    )


def load_llama(source: TensorSource, config: ModelConfig, spiking: bool, dtype: torch.dtype) -> ModelWeights:
    """Hugging Face Llama names; q, k, v and gate, up are joined."""
    if spiking:
        raise ModelError(
            "this checkpoint has no INT8 weights to run spike-coded", "Load it with spiking off."
        )

    def joined(*parts: tuple[str, int, int]) -> Linear:
        return Linear(torch.cat([source.take(name + ".weight", n, k).to(dtype) for name, n, k in parts]))

    def norm(name: str) -> Tensor:
        return source.take(name + ".weight", config.hidden_size).float()

    width, inner, dim = config.hidden_size, config.intermediate_size, config.head_dim
    queries, keys = config.num_heads * dim, config.num_kv_heads * dim
    layers = []
    for i in range(config.num_layers):
        base, attn, mlp = f"model.layers.{i}.", f"model.layers.{i}.self_attn.", f"model.layers.{i}.mlp."
        layers.append(
            LayerWeights(
                attn_norm=norm(base + "input_layernorm"),
                qkv=joined(
                    (attn + "q_proj", queries, width),
                    (attn + "k_proj", keys, width),
                    (attn + "v_proj", keys, width),
                ),
                out=joined((attn + "o_proj", width, queries)),
                gates=None,
                mlp_norm=norm(base + "post_attention_layernorm"),
                gate_up=joined((mlp + "gate_proj", inner, width), (mlp + "up_proj", inner, width)),
                down=joined((mlp + "down_proj", width, inner)),
            )
        )
    table = joined(("model.embed_tokens", config.vocab_size, width))
    head = table if config.tie_embeddings else joined(("lm_head", config.vocab_size, width))
    if config.tie_embeddings and source.has("lm_head.weight"):
        source.take("lm_head.weight")
    return ModelWeights(table, tuple(layers), norm("model.norm"), head, None)


LOADERS = {"engram": load_engram, "llama": load_llama}
