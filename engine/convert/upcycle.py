"""`python -m engine.convert upcycle`: a dense checkpoint becomes a mixture of experts that computes the same.

Every expert starts as a copy of the dense feed-forward part (arXiv 2509.05276, section 3). With S shared
experts and k of N routed ones active, a router that knows nothing yet gives each active expert 1 / N, so the
copies add up to S + k / N times the dense output. The report scales the three matrices of an expert by
alpha = (1 / (S + k / N))^(1/3) each. The gate of a SwiGLU stands inside a sigmoid, where a factor is no
factor of the output; so the same total factor alpha^3 is put on the two matrices the output is linear in, up
and down, alpha^(3/2) each, and the upcycled model equals the dense one.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.config import FULL_ATTENTION, ExpertConfig, parse_config
from engine.convert.dense import DenseModel, open_dense
from engine.convert.shard_writer import SHARD_BYTES, ShardWriter
from engine.errors import EngineError, ModelError
from engine.families import FAMILIES
from engine.sources import ShapeSource

REPORT_DENSE = (1, 2, 3, 5, 7, 9, 11)
RENAMED = {
    "model.embed_tokens.": "model.embeddings.",
    ".self_attn.": ".attn.",
    ".input_layernorm.": ".attn_norm.",
    ".post_attention_layernorm.": ".mlp_norm.",
}


@dataclass(frozen=True, slots=True)
class UpcycleSettings:
    """`dense_layers` count from 1 as in the report. `router_std` 0 starts with equal chances (then the result
    equals the dense model); training wants a small value, so that tokens and experts part.
    """

    experts: int = 16
    active: int = 1
    shared: int = 1
    dense_layers: tuple[int, ...] = REPORT_DENSE
    router_std: float = 0.0
    seed: int = 0
    shard_bytes: int = SHARD_BYTES


def alpha(experts: int, active: int, shared: int) -> float:
    """The report's factor for an expert's three matrices: 0.980 for 16 experts, 1 active, 1 shared."""
    return (1 / (shared + active / experts)) ** (1 / 3)


def upcycle(path: Path, out: Path, settings: UpcycleSettings) -> None:
    """Write the dense checkpoint at `path`, upcycled, to the new folder `out`; or raise EngineError.
    Interrupted, the same call goes on and writes no whole shard twice.
    """
    model = open_dense(path)
    raw = upcycled_config(model, settings)
    config, wanted = parse_config(raw), ShapeSource()
    FAMILIES[config.model_type].load(wanted, config, False, torch.bfloat16)
    kind = model.source.take(model.largest).dtype
    assert config.experts is not None
    total = sum(torch.Size(shape).numel() for shape in wanted.shapes.values()) * kind.itemsize
    for name in model.shapes:
        model.source.skip(name)
    model.source.finish()  # what is left over is said before hours of work
    stamp = json.dumps([model.checkpoint.identity(model.source.files, None), asdict(settings)])
    with ShardWriter(out, total, "upcycling", settings.shard_bytes, stamp) as writer:
        for name in model.shapes:
            layer = int(name.split(".")[2]) if name.startswith("model.layers.") else -1
            if layer in config.experts.layers and ".mlp." in name:
                if name.endswith("gate_proj.weight") and not writer.has(_last(layer, config.experts)):
                    for new, tensor in _experts(model, layer, config.experts, settings):
                        if not writer.has(new):
                            writer.add(new, tensor)
            elif not writer.has(_renamed(name)):
                writer.add(_renamed(name), model.source.take(name))
        model.copy_tokenizer(writer.folder)
        writer.finish(raw | {"torch_dtype": str(kind).removeprefix("torch.")})


def upcycled_config(model: DenseModel, settings: UpcycleSettings) -> dict[str, Any]:
    """config.json of the result: the dense model's attention, our mixture of experts."""
    c = model.config
    windows = {layer.window for layer in c.layers} - {None, FULL_ATTENTION}
    if len(windows) > 1:
        raise ModelError(f"windows of {len(windows)} sizes cannot be upcycled", "One size is supported.")
    if not 1 <= settings.active <= settings.experts or settings.shared < 1:
        raise EngineError(
            f"{settings.active} active of {settings.experts} experts and {settings.shared} shared make no "
            "mixture",
            "Give at least one shared expert, one active one, and no more active than there are.",
        )
    dense = sorted({number - 1 for number in settings.dense_layers if number <= c.num_layers})
    if dense and dense[0] < 0:
        raise EngineError("dense layers count from 1", "Give --dense-layers such as 1,2,3.")
    if len(dense) == c.num_layers:
        raise EngineError(
            f"all {c.num_layers} layers would stay dense", "Name fewer layers with --dense-layers."
        )
    kinds = [layer.window for layer in c.layers]
    return {
        "model_type": "gla_swa_moe",
        "vocab_size": c.vocab_size,
        "hidden_size": c.hidden_size,
        "intermediate_size": c.intermediate_size,
        "num_hidden_layers": c.num_layers,
        "num_attention_heads": c.num_heads,
        "num_key_value_heads": c.num_kv_heads,
        "head_dim": c.head_dim,
        "norm_eps": c.norm_eps,
        "rope_theta": c.rope_theta,
        "tie_word_embeddings": c.tie_embeddings,
        "hidden_act": "silu",
        "qkv_bias": c.qkv_bias,
        "qk_norm": c.qk_norm,
        "sliding_window": next(iter(windows), None),
        "window_layers": [i for i, window in enumerate(kinds) if window in windows],
        "full_layers": [i for i, window in enumerate(kinds) if window == FULL_ATTENTION],
        "linear_layers": [i for i, layer in enumerate(c.layers) if layer.linear],
        "linear_gate": "low_rank",
        "num_sink_tokens": 0,
        "dense_layers": dense,
        "num_experts": settings.experts,
        "num_experts_per_tok": settings.active,
        "num_shared_experts": settings.shared,
        "moe_intermediate_size": c.intermediate_size,
        **model.kept,
    }


def _last(layer: int, experts: ExpertConfig) -> str:
    """The tensor of a layer's mixture that is written last."""
    return f"model.layers.{layer}.mlp.experts.{experts.count - 1}.down_proj.weight"


def _experts(
    model: DenseModel, layer: int, experts: ExpertConfig, settings: UpcycleSettings
) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a layer's mixture; shared experts side by side are one wide feed-forward part."""
    draw = torch.Generator().manual_seed((layer << 32) + settings.seed)  # the same wherever a run begins
    base = f"model.layers.{layer}.mlp."
    gate, up, down = (model.source.take(f"{base}{name}_proj.weight") for name in ("gate", "up", "down"))
    factor = alpha(experts.count, experts.active, experts.shared) ** 1.5
    up, down = ((x.float() * factor).to(gate.dtype) for x in (up, down))
    yield (
        f"{base}router.weight",
        torch.randn(experts.count, gate.shape[1], generator=draw) * settings.router_std,
    )
    yield f"{base}shared_experts.gate_proj.weight", gate.repeat(experts.shared, 1)
    yield f"{base}shared_experts.up_proj.weight", up.repeat(experts.shared, 1)
    yield f"{base}shared_experts.down_proj.weight", down.repeat(1, experts.shared)
    joined = torch.cat((gate, up))
    for i in range(experts.count):
        yield f"{base}experts.{i}.gate_up_proj.weight", joined
        yield f"{base}experts.{i}.down_proj.weight", down


def _renamed(name: str) -> str:
    for old, new in RENAMED.items():
        name = name.replace(old, new)
    return name


def add_arguments(stages: Any) -> None:
    """The command `upcycle`."""
    stage = stages.add_parser("upcycle", help="a dense checkpoint becomes a mixture of experts")
    stage.add_argument("checkpoint", type=Path, help="folder of a dense checkpoint, or a Llama GGUF file")
    stage.add_argument("--out", type=Path, required=True, help="new folder to write")
    stage.add_argument("--experts", type=int, default=16, help="routed experts a layer (default 16)")
    stage.add_argument("--active", type=int, default=1, help="routed experts a token meets (default 1)")
    stage.add_argument("--shared", type=int, default=1, help="experts every token meets (default 1)")
    stage.add_argument(
        "--dense-layers",
        type=_numbers,
        default=REPORT_DENSE,
        help="layers that stay dense, from 1 (default 1,2,3,5,7,9,11)",
    )
    stage.add_argument(
        "--router-std",
        type=float,
        default=0.0,
        help="spread of the router's start (default 0: equal chances)",
    )
    stage.add_argument("--seed", type=int, default=0, help="of the router's start")
    stage.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    settings = UpcycleSettings(
        options.experts,
        options.active,
        options.shared,
        options.dense_layers,
        options.router_std,
        options.seed,
    )
    upcycle(options.checkpoint, options.out, settings)
    print(f"{options.out} is ready.")


def _numbers(text: str) -> tuple[int, ...]:
    """Layer numbers separated by commas; none of them for an empty text."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of layers such as 1,2,3") from error
