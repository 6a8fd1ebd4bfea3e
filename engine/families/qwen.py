"""Qwen 2, 2.5 and 3 (dense): Llama with query, key and value biases (2) or norms of queries and keys (3)."""

from engine.config import FULL_ATTENTION, ModelConfig
from engine.config_reader import ConfigReader
from engine.errors import ModelError
from engine.families.llama import load, parse_transformer

__all__ = ["load", "parse_qwen2", "parse_qwen3"]

QWEN3_HEAD_DIM = 128


def parse_qwen2(reader: ConfigReader) -> ModelConfig:
    """The config of transformers' Qwen2."""
    reader.expect("use_mrope", (False,))
    return parse_transformer(reader, "qwen2", qkv_bias=True, qk_norm=False, windows=_windows(reader))


def parse_qwen3(reader: ConfigReader) -> ModelConfig:
    """The config of transformers' Qwen3."""
    reader.expect("attention_bias", (False,))
    return parse_transformer(
        reader, "qwen3", qkv_bias=False, qk_norm=True, head_dim=QWEN3_HEAD_DIM, windows=_windows(reader)
    )


def _windows(reader: ConfigReader) -> tuple[int, ...]:
    """Keys each layer sees besides the query's own: transformers' window counts that one too."""
    count, first = reader.whole("num_hidden_layers"), reader.take("max_window_layers", 28)
    sliding, width = reader.take("use_sliding_window", False), reader.take("sliding_window", None)
    width = width if sliding else None
    usual = ["full_attention" if width is None or i < first else "sliding_attention" for i in range(count)]
    kinds = reader.take("layer_types", None) or usual
    known = {"full_attention": FULL_ATTENTION}
    if width is not None:
        known["sliding_attention"] = width - 1
    if len(kinds) != count or not known.keys() >= set(kinds):
        raise ModelError(
            f"config.json: layer_types = {kinds!r} is not supported",
            f"Supported here: {count} entries of {', '.join(known)}.",
        )
    return tuple(known[kind] for kind in kinds)
