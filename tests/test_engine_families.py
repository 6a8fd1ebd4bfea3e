"""Families: what a full-size checkpoint must hold, and one clear error for each that does not."""

import json

import pytest
import torch
from golden import DATA
from released import RELEASED_7B
from safetensors.torch import load_file, save_file
from test_imports import ROOT, heavy_chain

from engine import Engine
from engine.config import parse_config
from engine.errors import ModelError
from engine.families import FAMILIES
from engine.sources import ShapeSource

TINY = {
    name: json.loads((DATA / name / "config.json").read_text()) for name in ("gla_swa_tiny", "w8aspike_tiny")
}
RELEASED = TINY["gla_swa_tiny"] | RELEASED_7B | {"attn_layers": list(range(1, 28, 2))}


def _released_shapes():
    """Golden README 3.2 with the released values."""
    d, inner, vocab, keys, dim = 3584, 18944, 152064, 512, 128
    table = {"model.embeddings": (vocab, d), "model.norm": (d,), "lm_head": (vocab, d)}
    biases = {}
    for i in range(28):
        base = f"model.layers.{i}."
        table |= {base + "attn_norm": (d,), base + "mlp_norm": (d,)}
        for name, rows in (("q", d), ("k", keys), ("v", keys)):
            table[f"{base}attn.{name}_proj"] = (rows, d)
            biases[f"{base}attn.{name}_proj"] = (rows,)
        table[base + "attn.o_proj"] = (d, d)
        if i % 2 == 0:
            table |= {base + "attn.gk_proj.0": (16, d), base + "attn.gk_proj.1": (keys, 16)}
            table[base + "attn.g_norm"] = (dim,)
            biases[base + "attn.gk_proj.1"] = (keys,)
        table |= {base + "mlp.gate_proj": (inner, d), base + "mlp.up_proj": (inner, d)}
        table[base + "mlp.down_proj"] = (d, inner)
    named = {f"{name}.weight": shape for name, shape in table.items()}
    return named | {f"{name}.bias": shape for name, shape in biases.items()}


def test_the_full_size_7b_asks_for_every_released_tensor_and_no_other():
    config, source = parse_config(RELEASED), ShapeSource()
    weights = FAMILIES["gla_swa"].load(source, config, False, torch.bfloat16)
    assert source.shapes == _released_shapes()
    assert all(tensor.is_meta for tensor in (weights.norm, weights.head.weight, weights.layers[3].qkv.weight))
    assert weights.layers[3].qkv.weight.shape == (3584 + 2 * 512, 3584)
    count = sum(torch.Size(shape).numel() for shape in source.shapes.values())
    assert 7.6e9 < count < 7.7e9
    # Norms and gates are held in float32, all else in bfloat16.
    assert 2 * count < weights.nbytes() < 2.001 * count
    assert abs(config.parameter_count() / count - 1) < 0.001


def test_the_full_size_config_says_what_it_is():
    config = parse_config(RELEASED)
    assert [i for i, layer in enumerate(config.layers) if layer.window == 4096] == list(range(1, 28, 2))
    assert [i for i, layer in enumerate(config.layers) if layer.linear] == list(range(0, 28, 2))
    assert (config.head_dim, config.gate_rank, config.sinks, config.spike) == (128, 16, 0, None)
    assert "7615 M parameters" in config.describe()
    assert "gated linear attention in 14 layers" in config.describe()
    without = {key: value for key, value in RELEASED.items() if key != "attn_layers"}
    assert parse_config(without).layers == config.layers


def test_w8aspike_is_told_by_its_tensors():
    config = parse_config(RELEASED | {"quant_weight_group_size": 128}, quantised=True)
    assert (config.spike.k, config.spike.w8aspike, config.gate_rank) == (3.0, True, 0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"surprise": 1}, "surprise"),
        ({"use_short_conv": True}, "use_short_conv"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attn_layers": [1, 99]}, "attn_layers"),
        ({"attn_layers": "odd"}, "attn_layers"),
        ({"hidden_size": "64"}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"norm_eps": None}, "norm_eps"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "heads"),
        ({"model_type": "sse"}, "sse"),
    ],
)
def test_a_config_key_that_cannot_be_is_named(change, word):
    with pytest.raises(ModelError, match=word):
        parse_config(TINY["gla_swa_tiny"] | change)


@pytest.mark.parametrize("key", ["sliding_window", "rope_theta", "norm_eps", "vocab_size"])
def test_a_missing_config_key_is_named(key):
    with pytest.raises(ModelError, match=key):
        parse_config({name: value for name, value in TINY["gla_swa_tiny"].items() if name != key})


@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        ("qwen2", {"rope_scaling": {"type": "yarn"}}, "rope_scaling"),
        ("qwen2", {"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters.*yarn"),
        ("qwen2", {"layer_types": ["sliding_attention"] * 2}, "layer_types"),
        ("qwen3", {"attention_bias": True}, "attention_bias"),
        ("llama", {"mlp_bias": True}, "mlp_bias"),
        ("llama", {"max_window_layers": 3}, "max_window_layers"),
    ],
)
def test_transformers_settings_that_are_not_computed_are_named(kind, change, word):
    raw = {
        "model_type": kind,
        "vocab_size": 9,
        "hidden_size": 8,
        "intermediate_size": 8,
        "rms_norm_eps": 1e-6,
    }
    raw |= {"num_attention_heads": 2, "num_hidden_layers": 2}
    assert parse_config(raw).num_layers == 2
    with pytest.raises(ModelError, match=word):
        parse_config(raw | change)


def _folder(path, name, change=None):
    """A copy of a tiny checkpoint, its tensors changed in place by `change`."""
    path.mkdir(exist_ok=True)
    tensors = load_file(DATA / name / "model.safetensors")
    if change is not None:
        change(tensors)
    (path / "config.json").write_text(json.dumps(TINY[name]))
    save_file(tensors, path / "model.safetensors")
    return path


Q = "model.layers.0.attn.q_proj"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gla_swa_tiny", lambda t: t.pop(Q + ".bias"), rf"lacks the tensor '{Q}\.bias'"),
        ("gla_swa_tiny", lambda t: t.pop("lm_head.weight"), "lm_head.weight"),
        ("gla_swa_tiny", lambda t: t.update({"model.extra": torch.zeros(2)}), "model.extra"),
        ("gla_swa_tiny", lambda t: t.update({Q + ".weight": torch.zeros(64, 63)}), rf"{Q}.*shape \[64, 63\]"),
        ("gla_swa_tiny", lambda t: t.update({Q + ".weight": t[Q + ".weight"].to(torch.int8)}), f"{Q}.*int8"),
        ("gla_swa_tiny", lambda t: t.update({"model.norm.weight": torch.ones(64).long()}), "norm.*int64"),
        ("w8aspike_tiny", lambda t: t.pop(Q + ".weight_quantizer.scales"), rf"{Q}\.weight_quantizer"),
        (
            "w8aspike_tiny",
            lambda t: t.update({Q + ".weight_quantizer.scales": torch.ones(256, 3, 1)}),
            rf"{Q}\.weight_quantizer\.scales.*groups",
        ),
        (
            "w8aspike_tiny",
            lambda t: t[Q + ".weight_quantizer.scales"].zero_(),
            rf"{Q}\.weight_quantizer\.scales.*positive",
        ),
    ],
)  # fmt: skip
def test_a_tensor_that_is_amiss_is_named(tmp_path, name, change, message):
    assert Engine.load(_folder(tmp_path / "good", name)).config.model_type == "gla_swa"
    with pytest.raises(ModelError, match=message):
        Engine.load(_folder(tmp_path / "bad", name, change))


def test_a_plain_checkpoint_is_not_run_spike_coded(tmp_path):
    with pytest.raises(ModelError, match="no INT8 weights"):
        Engine.load(_folder(tmp_path / "m", "gla_swa_tiny"), spiking=True)


@pytest.fixture
def shards(tmp_path):
    """The tiny checkpoint in two files with an index."""
    tensors = load_file(DATA / "gla_swa_tiny" / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY["gla_swa_tiny"]))
    names = sorted(tensors)
    placed = {name: f"model-0000{1 + (i > 20)}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(placed.values()):
        save_file({name: tensors[name] for name in names if placed[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return tmp_path


SECOND = "model-00002-of-00002.safetensors"


def test_a_truncated_or_absent_shard_is_named(shards):
    assert Engine.load(shards).config.num_layers == 4
    file = shards / SECOND
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match=f"{SECOND} cannot be read as safetensors"):
        Engine.load(shards)
    file.unlink()
    with pytest.raises(ModelError, match=f"lacks the files {SECOND}"):
        Engine.load(shards)


def test_an_index_that_does_not_fit_its_files_is_named(shards):
    index = shards / "model.safetensors.index.json"
    raw = json.loads(index.read_text())
    placed = raw["weight_map"]
    index.write_text(json.dumps(raw | {"weight_map": placed | {"model.norm.weight": min(placed.values())}}))
    with pytest.raises(ModelError, match=r"00001-of-00002.*lacks the tensor 'model\.norm\.weight'"):
        Engine.load(shards)
    index.write_text(json.dumps(raw | {"weight_map": placed | {"x": "pytorch_model.bin"}}))
    with pytest.raises(ModelError, match=r"pytorch_model\.bin") as caught:
        Engine.load(shards)
    assert "never pickles" in caught.value.hint
    for damaged in ("{", "[]", "{}", '{"weight_map": 3}'):
        index.write_text(damaged)
        with pytest.raises(ModelError, match=r"index\.json is not an index"):
            Engine.load(shards)


def test_a_tensor_in_two_files_is_named(shards):
    save_file({"model.norm.weight": torch.ones(64)}, shards / "model-00003-of-00002.safetensors")
    (shards / "model.safetensors.index.json").unlink()
    with pytest.raises(ModelError, match=r"'model\.norm\.weight' is both in"):
        Engine.load(shards)


def test_a_folder_of_pickles_is_refused(shards):
    for path in shards.glob("*.safetensors*"):
        path.unlink()
    (shards / "pytorch_model-00001-of-00002.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match=r"no \.safetensors file") as caught:
        Engine.load(shards)
    assert "never pickles" in caught.value.hint


def test_configs_are_read_without_torch():
    """Lists of models are drawn in the page process."""
    for name in ("config.py", "families/__init__.py"):
        assert heavy_chain(ROOT / "engine" / name) is None
