"""The tiny base of tests/tiny.py as a GGUF file, as llama.cpp's converter writes Llama models."""

from pathlib import Path

import torch
from gguf import GGMLQuantizationType, GGUFWriter, quantize

from tests.tiny import SETTINGS, tiny_base
from tests.tokenizer_files import add_tokenizer, train_backend


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """GGUF's order of rotary rows: pairs (2i, 2i + 1) where we have halves."""
    rows, columns = weight.shape
    return weight.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def write_llama(
    path: Path,
    base: dict[str, torch.Tensor] | None = None,
    *,
    kind: GGMLQuantizationType | None = None,
    architecture: str = "llama",
    scaling: str | None = None,
    rope: bool = True,
) -> Path:
    """Write `base` (GGUF names, float32); its matrices quantised to `kind` if given."""
    writer = GGUFWriter(path, "llama")
    if architecture != "llama":
        writer.add_string("general.architecture", architecture)
    writer.add_vocab_size(SETTINGS["vocab_size"])
    writer.add_embedding_length(SETTINGS["hidden_size"])
    writer.add_feed_forward_length(SETTINGS["intermediate_size"])
    writer.add_head_count(SETTINGS["num_heads"])
    writer.add_head_count_kv(SETTINGS["num_kv_heads"])
    writer.add_block_count(SETTINGS["num_layers"])
    writer.add_layer_norm_rms_eps(SETTINGS["norm_eps"])
    writer.add_rope_freq_base(SETTINGS["rope_theta"])
    if rope:
        writer.add_rope_dimension_count(SETTINGS["head_dim"])
    if scaling is not None:
        writer.add_string("llama.rope.scaling.type", scaling)
    add_tokenizer(writer, train_backend())
    for name, tensor in (tiny_base() if base is None else base).items():
        if "attn_q" in name:
            tensor = interleaved(tensor, SETTINGS["num_heads"])
        elif "attn_k" in name:
            tensor = interleaved(tensor, SETTINGS["num_kv_heads"])
        values = tensor.contiguous().numpy()
        if kind is not None and tensor.ndim == 2 and tensor.shape[1] % 32 == 0:
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
