"""Full-attention bases against Hugging Face transformers on tiny random models: Qwen, Llama, GGUF."""

import pytest
import torch
from gguf import GGMLQuantizationType, dequantize, quantize
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from engine import ContextState, Engine
from engine.errors import ModelError
from tests.gguf_files import write_llama
from tests.test_engine_parity import _limit, _peer
from tests.tiny import SETTINGS, tiny_base

SHAPE = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attn_implementation": "eager",
}
KINDS = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"rope_theta": 1e6}),
    "qwen2 tied": (Qwen2Config, Qwen2ForCausalLM, {"tie_word_embeddings": True}),
    "qwen2 sliding": (
        Qwen2Config,
        Qwen2ForCausalLM,
        {"use_sliding_window": True, "sliding_window": 20, "max_window_layers": 1},
    ),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 32, "tie_word_embeddings": True}),
    "qwen3 default": (Qwen3Config, Qwen3ForCausalLM, {}),
    "llama": (LlamaConfig, LlamaForCausalLM, {"head_dim": 8}),
}


@pytest.fixture(params=KINDS)
def pair(request, tmp_path):
    """Our engine and transformers' model of one checkpoint folder, every weight random and none zero."""
    config, model, changes = KINDS[request.param]
    torch.manual_seed(0)
    peer = model(config(**SHAPE | changes)).eval()
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if name.endswith(("norm.weight", "bias")):
                parameter.add_(torch.randn_like(parameter) * 0.3)
            else:
                parameter.copy_(torch.randn_like(parameter) * parameter.shape[-1] ** -0.5)
    peer.save_pretrained(tmp_path / "m")
    return Engine.load(tmp_path / "m"), peer


def test_logits_equal_transformers_whole_in_pieces_and_resumed(pair, tmp_path):
    engine, peer = pair
    assert not engine.spiking
    assert engine.tokenizer is None
    ids = torch.randint(0, 300, (1, 130), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = peer(ids).logits[0]
    listed = ids[0].tolist()
    assert float((engine.logits(listed) - expected).abs().max()) < _limit(expected)
    state, parts = engine.new_state(), []
    for start, stop in ((0, 1), (1, 50), (50, 130)):
        parts.append(engine.logits(listed[start:stop], state))
        state.save(tmp_path / "s.state")
        state = ContextState.load(tmp_path / "s.state", engine)
    assert float((torch.cat(parts) - expected).abs().max()) < _limit(expected)


def test_greedy_generation_equals_transformers(pair):
    engine, peer = pair
    ids = torch.randint(0, 300, (1, 20), generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        for _ in range(12):
            ids = torch.cat((ids, peer(ids).logits[:, -1:].argmax(-1)), dim=1)
    assert list(engine.generate(ids[0, :20].tolist(), max_new_tokens=12, stop_ids=())) == ids[0, 20:].tolist()


@pytest.mark.parametrize("kind", [None, GGMLQuantizationType.F16, GGMLQuantizationType.Q8_0])
def test_a_gguf_file_equals_transformers_with_its_weights(tmp_path, kind):
    base = tiny_base()
    engine = Engine.load(write_llama(tmp_path / "model.gguf", base, kind=kind))
    if kind is not None:
        for name, tensor in base.items():
            if tensor.ndim == 2:
                base[name] = torch.tensor(dequantize(quantize(tensor.numpy(), kind), kind))
    ids = torch.randint(0, SETTINGS["vocab_size"], (1, 200), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = _peer(base)(ids).logits[0]
    assert float((engine.logits(ids[0].tolist()) - expected).abs().max()) < _limit(expected)
    assert not engine.spiking
    assert engine.config.tie_embeddings
    assert engine.tokenizer.decode(engine.tokenizer.encode("The patient")) == "The patient"
    assert next(iter(engine.generate(engine.tokenizer.encode("The patient"), max_new_tokens=1))) >= 0


def test_a_gguf_file_with_a_head_of_its_own(tmp_path):
    base = tiny_base()
    base["output.weight"] = torch.randn(SETTINGS["vocab_size"], SETTINGS["hidden_size"])
    engine = Engine.load(write_llama(tmp_path / "model.gguf", base, rope=False))
    hidden = engine.hidden([5, 6, 7])
    normed = torch.nn.functional.rms_norm(hidden, (64,), base["output_norm.weight"], SETTINGS["norm_eps"])
    torch.testing.assert_close(engine.logits([5, 6, 7]), normed @ base["output.weight"].T, rtol=0, atol=1e-3)


def test_another_gguf_file_is_another_model(tmp_path):
    first = Engine.load(write_llama(tmp_path / "a.gguf"))
    assert Engine.load(tmp_path / "a.gguf").fingerprint == first.fingerprint
    assert Engine.load(write_llama(tmp_path / "b.gguf", tiny_base(1))).fingerprint != first.fingerprint


def _without(name):
    return {key: value for key, value in tiny_base().items() if key != name}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "mamba"}, "mamba"),
        ({"scaling": "yarn"}, "yarn"),
        ({"base": _without("blk.1.ffn_up.weight")}, r"blk\.1\.ffn_up\.weight"),
        ({"base": tiny_base() | {"rope_freqs.weight": torch.ones(8)}}, r"rope_freqs\.weight"),
        ({"base": tiny_base() | {"output_norm.weight": torch.ones(65)}}, r"output_norm\.weight.*shape"),
    ],
)
def test_a_gguf_file_that_cannot_be_run_says_why(tmp_path, changes, message):
    with pytest.raises(ModelError, match=message):
        Engine.load(write_llama(tmp_path / "model.gguf", **changes))


def test_a_damaged_gguf_file_and_other_files_are_named(tmp_path):
    whole = write_llama(tmp_path / "model.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cut\.gguf"):
        Engine.load(tmp_path / "cut.gguf")
    (tmp_path / "model.pt").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match=r"model\.pt") as caught:
        Engine.load(tmp_path / "model.pt")
    assert "never pickles" in caught.value.hint
