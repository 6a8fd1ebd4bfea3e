"""The same weights in Hugging Face transformers: logits agree while the text fits the window."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from engine import Engine
from engine.errors import ModelError
from engine.prepare import engram_config, engram_tensors
from kernels.int8 import quantize_rows
from tests.tiny import SETTINGS, WINDOW, tiny_base

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "token_embd": "embed_tokens",
    "output_norm": "norm",
}


def _peer(base: dict[str, torch.Tensor], tied: bool = True) -> LlamaForCausalLM:
    """transformers' Llama holding the GGUF-named weights `base`."""
    config = LlamaConfig(
        vocab_size=SETTINGS["vocab_size"],
        hidden_size=SETTINGS["hidden_size"],
        intermediate_size=SETTINGS["intermediate_size"],
        num_hidden_layers=SETTINGS["num_layers"],
        num_attention_heads=SETTINGS["num_heads"],
        num_key_value_heads=SETTINGS["num_kv_heads"],
        rms_norm_eps=SETTINGS["norm_eps"],
        rope_theta=SETTINGS["rope_theta"],
        tie_word_embeddings=tied,
        attn_implementation="eager",
    )
    torch.manual_seed(1)
    model = LlamaForCausalLM(config).eval()
    renamed = {}
    for name, tensor in base.items():
        parts = name.split(".")
        place = f"layers.{parts[1]}.{NAMES[parts[2]]}" if parts[0] == "blk" else NAMES[parts[0]]
        renamed[f"model.{place}.weight"] = tensor
    missing, unexpected = model.load_state_dict(renamed, strict=False)
    assert set(missing) <= {"lm_head.weight"}
    assert not unexpected
    return model


def _dequantized(base: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    out = {}
    for name, tensor in base.items():
        codes, scale = quantize_rows(tensor) if tensor.ndim == 2 else (tensor, torch.ones(()))
        out[name] = codes.float() * scale[:, None] if tensor.ndim == 2 else tensor
    return out


def _write_engram(folder: Path, base: dict[str, torch.Tensor], **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    config = engram_config(SETTINGS, "peer") | {"windows": [WINDOW] * SETTINGS["num_layers"]} | changes
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_file(engram_tensors(base, SETTINGS["num_layers"]), folder / "model.safetensors")
    return folder


def _ids(count: int) -> torch.Tensor:
    return torch.randint(0, SETTINGS["vocab_size"], (1, count), generator=torch.Generator().manual_seed(5))


def _limit(logits: torch.Tensor) -> float:
    # float32: about 1000 roundings of 2^-24 on the way to a logit, relative to the largest.
    return 1000 * 2**-24 * float(logits.abs().max())


def test_engram_without_spikes_equals_full_attention_inside_the_window(tmp_path):
    base = tiny_base()
    engine = Engine.load(_write_engram(tmp_path / "m", base), spiking=False, dtype="float32")
    ids = _ids(WINDOW)
    with torch.no_grad():
        expected = _peer(_dequantized(base))(ids).logits[0]
    assert float((engine.logits(ids[0].tolist()) - expected).abs().max()) < _limit(expected)


def test_beyond_the_window_the_window_shows(tmp_path):
    base = tiny_base()
    engine = Engine.load(_write_engram(tmp_path / "m", base), spiking=False, dtype="float32")
    ids = _ids(3 * WINDOW)
    with torch.no_grad():
        expected = _peer(_dequantized(base))(ids).logits[0]
    assert float((engine.logits(ids[0].tolist())[-1] - expected[-1]).abs().max()) > 0.01


@pytest.mark.parametrize("tied", [True, False])
def test_a_llama_checkpoint_folder_equals_transformers(tmp_path, tied):
    peer = _peer(tiny_base(), tied)
    peer.save_pretrained(tmp_path / "llama")
    engine = Engine.load(tmp_path / "llama")
    assert engine.tokenizer is None
    assert not engine.spiking
    ids = _ids(300)
    with torch.no_grad():
        expected = peer(ids).logits[0]
    assert float((engine.logits(ids[0].tolist()) - expected).abs().max()) < _limit(expected)
    state = engine.new_state()
    parts = torch.cat([engine.logits(ids[0, i : i + 77].tolist(), state) for i in range(0, 300, 77)])
    assert float((parts - expected).abs().max()) < _limit(expected)


def test_unknown_model_types_and_keys_are_named(tmp_path):
    folder = _write_engram(tmp_path / "m", tiny_base(), surprise=1)
    with pytest.raises(ModelError, match="surprise"):
        Engine.load(folder)
    (folder / "config.json").write_text('{"model_type": "mamba"}', "utf-8")
    with pytest.raises(ModelError, match="mamba"):
        Engine.load(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    with pytest.raises(ModelError, match="hidden_size"):
        Engine.load(folder)
    (folder / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match="not valid JSON"):
        Engine.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("layers.1.out.scale"), "layers.1.out.scale"),
        (lambda t: t.update(extra=torch.zeros(1)), "extra"),
        (lambda t: t.update({"norm": torch.zeros(3)}), "norm.*shape"),
    ],
)
def test_missing_left_over_and_misshaped_tensors_are_named(tmp_path, change, message):
    folder = _write_engram(tmp_path / "m", tiny_base())
    tensors = engram_tensors(tiny_base(), SETTINGS["num_layers"])
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        Engine.load(folder)


def test_pickles_damaged_and_absent_weights_are_refused(tmp_path):
    folder = _write_engram(tmp_path / "m", tiny_base())
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        Engine.load(folder)
    file.rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError) as caught:
        Engine.load(folder)
    assert "never pickles" in caught.value.hint
    with pytest.raises(ModelError, match="no model folder"):
        Engine.load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="not prepared"):
        Engine.load("default", models_dir=tmp_path)


def test_a_llama_checkpoint_cannot_be_run_spike_coded(tmp_path):
    _peer(tiny_base()).save_pretrained(tmp_path / "llama")
    with pytest.raises(ModelError, match="no INT8 weights"):
        Engine.load(tmp_path / "llama", spiking=True)
