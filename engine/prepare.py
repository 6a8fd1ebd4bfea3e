"""Set-up of the default model: base weights from a GGUF file, quantised to INT8, in one memory-mappable file.

python -m engine.prepare --gguf FILE --out FOLDER
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import EngineError, ModelError
from engine.gguf_source import unpermute
from engine.lora import merge
from engine.ranking import PREFIX, save_ranking
from engine.tokenizer import Tokenizer
from kernels.int8 import quantize_rows

FORMAT = 1
ADAPTER = Path(__file__).resolve().parent.parent / "assets" / "model" / "adapter.safetensors"
SETTINGS_KEY = "config"
WINDOW = 1024
SINKS = 4
SPIKE_K = 3.0
GATE_RANK = 16
GATE_NORMALIZER = 16.0


def read_gguf(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Hyperparameters and float32 tensors (Hugging Face names, layers.N.*) of a Llama GGUF file."""
    from gguf import GGUFReader, dequantize

    try:
        reader = GGUFReader(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path.name} cannot be read as GGUF: {error}", "Download it again.") from error

    def field(name: str) -> Any:
        found = reader.get_field(f"llama.{name}")
        if found is None:
            raise ModelError(f"{path.name} lacks llama.{name}", "Only Llama models can be prepared.")
        return found.contents()

    heads, kv_heads = field("attention.head_count"), field("attention.head_count_kv")
    settings = {
        "vocab_size": field("vocab_size"),
        "hidden_size": field("embedding_length"),
        "intermediate_size": field("feed_forward_length"),
        "num_heads": heads,
        "num_kv_heads": kv_heads,
        "head_dim": field("rope.dimension_count"),
        "norm_eps": round(float(field("attention.layer_norm_rms_epsilon")), 10),
        "rope_theta": float(field("rope.freq_base")),
        "num_layers": field("block_count"),
    }
    tensors = {}
    for item in reader.tensors:
        value = torch.tensor(dequantize(item.data, item.tensor_type), dtype=torch.float32)
        if item.name.endswith("attn_q.weight"):
            value = unpermute(value, heads)
        elif item.name.endswith("attn_k.weight"):
            value = unpermute(value, kv_heads)
        tensors[item.name] = value
    return settings, tensors


def engram_config(settings: Mapping[str, Any], source: str) -> dict[str, Any]:
    """config.json of our format for a base with these hyperparameters."""
    layers = settings["num_layers"]
    return {
        "model_type": "engram",
        "format": FORMAT,
        "source": source,
        **{key: value for key, value in settings.items() if key != "num_layers"},
        "windows": [WINDOW] * layers,
        "linear_layers": list(range(layers)),
        "sinks": SINKS,
        "gate_rank": GATE_RANK,
        "gate_normalizer": GATE_NORMALIZER,
        "spike_k": SPIKE_K,
    }


def engram_tensors(base: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Our tensors from GGUF-named float32 ones: joined projections, INT8 codes and scales."""
    out: dict[str, Tensor] = {"norm": base["output_norm.weight"]}

    def quantized(name: str, *parts: str) -> None:
        out[f"{name}.codes"], out[f"{name}.scale"] = quantize_rows(torch.cat([base[part] for part in parts]))

    quantized("embedding", "token_embd.weight")
    for i in range(layers):
        old, new = f"blk.{i}.", f"layers.{i}."
        out[new + "attn_norm"], out[new + "mlp_norm"] = (
            base[old + "attn_norm.weight"],
            base[old + "ffn_norm.weight"],
        )
        quantized(new + "qkv", old + "attn_q.weight", old + "attn_k.weight", old + "attn_v.weight")
        quantized(new + "out", old + "attn_output.weight")
        quantized(new + "gate_up", old + "ffn_gate.weight", old + "ffn_up.weight")
        quantized(new + "down", old + "ffn_down.weight")
    return out


def prepare(gguf: Path, folder: Path, adapter: Path | None = None) -> None:
    """Write the model folder for `gguf` at `folder`, atomically; `adapter` holds what we trained: tensors for
    `engine.lora.merge`, and settings of config.json in its metadata.
    """
    print(f"Reading {gguf.name} ...", flush=True)
    settings, base = read_gguf(gguf)
    tokenizer = Tokenizer.from_gguf(gguf)
    print("Quantising to INT8 ...", flush=True)
    tensors = engram_tensors(base, settings["num_layers"])
    config, trained = engram_config(settings, gguf.name), {}
    if adapter is not None and adapter.is_file():
        with safe_open(adapter, "pt") as file:
            trained = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no dict)
            config |= json.loads((file.metadata() or {}).get(SETTINGS_KEY, "{}"))
        merge(tensors, {name: value for name, value in trained.items() if not name.startswith(PREFIX)})
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".preparing-", dir=folder.parent))
    try:
        print(f"Writing {folder} ...", flush=True)
        (temporary / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
        tokenizer.save(temporary)
        save_file(tensors, temporary / "model.safetensors")
        save_ranking(trained, temporary)
        os.chmod(temporary, 0o755)
        if folder.exists():
            old = folder.with_name(f".old-{os.getpid()}")
            folder.rename(old)
            temporary.rename(folder)
            shutil.rmtree(old)
        else:
            temporary.rename(folder)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    print(f"Model ready: {size:.0f} MB", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Command line; exit code 1 with one line if the file cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.prepare", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--gguf", type=Path, required=True, help="base weights (Llama architecture)")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument(
        "--adapter", type=Path, default=ADAPTER, help="what was trained (default: the shipped one)"
    )
    options = parser.parse_args(argv)
    try:
        prepare(options.gguf, options.out, options.adapter)
    except EngineError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
