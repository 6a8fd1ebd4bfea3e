"""The dense checkpoints that conversions start from."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.checkpoint import Checkpoint, open_checkpoint
from engine.config import ModelConfig, parse_config
from engine.errors import ModelError
from engine.families import FAMILIES
from engine.gguf_source import GgufSource
from engine.sources import ShapeSource, TensorSource

DENSE_FAMILIES = ("gla_swa", "llama", "qwen2", "qwen3")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
)


@dataclass(frozen=True, slots=True)
class DenseModel:
    """A checkpoint in floating point: its files, config and tensors, and the shape of each by name."""

    checkpoint: Checkpoint
    config: ModelConfig
    source: TensorSource | GgufSource
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def largest(self) -> str:
        """The name of its largest tensor."""
        return max(self.shapes, key=lambda name: torch.Size(self.shapes[name]).numel())

    @property
    def kept(self) -> dict[str, Any]:
        """Keys of its config that change no result and go with it."""
        names = ("bos_token_id", "eos_token_id", "pad_token_id", "max_position_embeddings")
        return {name: self.checkpoint.raw[name] for name in names if name in self.checkpoint.raw}

    def copy_tokenizer(self, folder: Path) -> None:
        """Bring the tokenizer along, where there is one."""
        tokenizer = self.checkpoint.load_tokenizer()
        if isinstance(self.source, GgufSource):
            if tokenizer is not None:
                tokenizer.save(folder)
            return
        for name in TOKENIZER_FILES:
            if (self.checkpoint.path / name).is_file():
                shutil.copy(self.checkpoint.path / name, folder / name)


def open_dense(path: Path) -> DenseModel:
    """The dense model at `path`; ModelError if it is none, of another family, or already quantised."""
    checkpoint = open_checkpoint(path)
    kind = checkpoint.raw.get("model_type")
    if kind not in DENSE_FAMILIES:
        raise ModelError(
            f"a checkpoint of model type {kind!r} cannot be converted",
            f"Give a dense one: {', '.join(DENSE_FAMILIES)}.",
            "unsupported_family",
        )
    source = checkpoint.open_tensors()
    if source.quantised or "quantization_config" in checkpoint.raw:
        raise ModelError(
            f"{path} is already quantised", "Give the checkpoint it was made from.", "already_quantised"
        )
    config, wanted = parse_config(checkpoint.raw), ShapeSource()
    FAMILIES[config.model_type].load(wanted, config, False, torch.bfloat16)
    for name in wanted.shapes:
        if not source.has(name):
            source.take(name)  # says what is missing, before hours of work
    if config.tie_embeddings:
        source.skip("lm_head.weight")
    return DenseModel(checkpoint, config, source, wanted.shapes)
