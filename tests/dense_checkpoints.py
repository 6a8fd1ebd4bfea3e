"""Tiny random dense checkpoints of every family that conversions start from, with a tokenizer."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from engine.config import parse_config
from engine.families import FAMILIES
from engine.sources import ShapeSource
from tests.tokenizer_files import train_backend

SHAPE = {
    "vocab_size": 400,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_theta": 1e4,
    "tie_word_embeddings": False,
}
CONFIGS = {
    "llama": {"model_type": "llama", "rms_norm_eps": 1e-6},
    "qwen2": {"model_type": "qwen2", "rms_norm_eps": 1e-6, "bos_token_id": 0},
    "qwen3": {"model_type": "qwen3", "rms_norm_eps": 1e-6, "head_dim": 32, "tie_word_embeddings": True},
    "gla_swa": {"model_type": "gla_swa", "norm_eps": 1e-6, "sliding_window": 24, "attn_layers": [1, 3]},
}


def tiny_dense_dir(folder: Path, kind: str, dtype: torch.dtype = torch.float32, **changes) -> Path:
    """Write the checkpoint; `changes` go into its config."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = SHAPE | CONFIGS[kind] | changes
    source = ShapeSource()
    FAMILIES[kind].load(source, parse_config(raw), False, torch.float32)
    draw = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in source.shapes.items():
        value = torch.randn(shape, generator=draw)
        if "norm" in name:
            value = 1 + 0.3 * value
        elif len(shape) == 2 and "embed" not in name:
            value *= shape[1] ** -0.5
        tensors[name] = value.to(dtype)
    (folder / "config.json").write_text(json.dumps(raw), "utf-8")
    save_file(tensors, folder / "model.safetensors")
    train_backend().save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names), "utf-8")
    return folder
