"""A Llama model in one GGUF file, under Hugging Face's names: dequantised tensor by tensor as it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import ModelError
from engine.sources import FLOATS, check_tensor, refuse_left_over

BLOCK_ELEMENTS = 1 << 22
_TOP = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


class GgufSource:
    """The tensors of a GGUF file (see `engine.weights.Source`) and what it says of its architecture."""

    quantised = False

    def __init__(self, path: Path) -> None:
        from gguf import GGUFReader

        self.files = [path]
        try:
            self.reader = GGUFReader(str(path))
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise ModelError(f"{path.name} cannot be read as GGUF: {error}", "Download it again.") from error
        self._tensors = {item.name: item for item in self.reader.tensors}
        self._left = set(self._tensors)

    def config(self) -> dict[str, Any]:
        """What a config.json would say."""
        kind = self._value("general.architecture")
        if kind != "llama":
            raise ModelError(
                f"unknown model type {kind!r} in {self.files[0].name}",
                "Engram runs GGUF files of Llama models; others as a folder of safetensors.",
                "unknown_model_type",
            )
        scaling = self._value("llama.rope.scaling.type")
        if scaling not in (None, "none"):
            raise ModelError(
                f"{self.files[0].name}: llama.rope.scaling.type = {scaling!r} is not supported",
                "Supported: none.",
            )
        heads, width = self._field("attention.head_count"), self._field("embedding_length")
        vocab = self._value("llama.vocab_size") or len(self._value("tokenizer.ggml.tokens") or ())
        return {
            "model_type": "llama",
            "vocab_size": vocab,
            "hidden_size": width,
            "intermediate_size": self._field("feed_forward_length"),
            "num_hidden_layers": self._field("block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": self._value("llama.attention.head_count_kv") or heads,
            "head_dim": self._value("llama.rope.dimension_count") or width // heads,
            "rms_norm_eps": round(float(self._field("attention.layer_norm_rms_epsilon")), 10),
            "rope_theta": float(self._value("llama.rope.freq_base") or 10000.0),
            "tie_word_embeddings": "output.weight" not in self._tensors,
        }

    def take(self, name: str, *shape: int, dtypes: Sequence[torch.dtype] = FLOATS) -> Tensor:
        """See `Source`; float32."""
        item = self._tensors.get(gguf_name(name))
        if item is None:
            raise ModelError(
                f"{self.files[0].name} lacks the tensor {gguf_name(name)!r}",
                "The download may be incomplete.",
            )
        try:
            tensor = _dequantised(item)
        except (NotImplementedError, ValueError) as error:
            raise ModelError(
                f"tensor {item.name!r} is stored in a form Engram cannot read: {error}"
            ) from error
        check_tensor(item.name, tensor, shape, dtypes)
        self._left.discard(item.name)
        if name.endswith(".q_proj.weight"):
            return unpermute(tensor, self._field("attention.head_count"))
        if name.endswith(".k_proj.weight"):
            heads = self._field("attention.head_count")
            return unpermute(tensor, self._value("llama.attention.head_count_kv") or heads)
        return tensor

    def has(self, name: str) -> bool:
        """See `Source`."""
        return gguf_name(name) in self._tensors

    def skip(self, name: str) -> None:
        """See `Source`."""
        self._left.discard(gguf_name(name))

    def finish(self) -> None:
        """ModelError if tensors were left over."""
        refuse_left_over(self._left)

    def _value(self, key: str) -> Any:
        found = self.reader.get_field(key)
        return None if found is None else found.contents()

    def _field(self, name: str) -> Any:
        value = self._value(f"llama.{name}")
        if value is None:
            raise ModelError(f"{self.files[0].name} lacks the key llama.{name}", "The file is incomplete.")
        return value


def _dequantised(item: Any) -> Tensor:
    """A tensor of a GGUF file in float32, by blocks of rows, as the steps between need several copies."""
    from gguf import dequantize

    out = torch.empty([int(size) for size in reversed(item.shape)])
    rows = max(1, BLOCK_ELEMENTS * len(item.data) // max(1, out.numel()))
    for start in range(0, len(item.data), rows):
        values = dequantize(item.data[start : start + rows], item.tensor_type)
        out[start : start + rows] = torch.tensor(values)
    return out


def unpermute(weight: Tensor, heads: int) -> Tensor:
    """Undo GGUF's interleaving of rotary pairs: [H * D, K] from pairs (2i, 2i+1) to halves (i, i + D/2)."""
    rows, columns = weight.shape
    return (
        weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns).contiguous()
    )


def gguf_name(name: str) -> str:
    """GGUF's name of a Hugging Face tensor; the name itself where it has none."""
    if name in _TOP:
        return _TOP[name]
    parts = name.removeprefix("model.layers.").split(".", 1)
    if len(parts) == 2:
        kind, _, end = parts[1].rpartition(".")
        if kind in _LAYER:
            return f"blk.{parts[0]}.{_LAYER[kind]}.{end}"
    return name
