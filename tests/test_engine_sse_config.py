"""SpikingBrain-2.0: what a full-size checkpoint must hold, and one clear error for each that does not."""

import json

import pytest
import torch
from golden import DATA
from safetensors.torch import load_file, save_file
from sse_plain import PlainSparseModel

from engine import Engine
from engine.config import parse_config
from engine.errors import ModelError
from engine.families import FAMILIES
from engine.sources import ShapeSource

FOLDER = DATA / "sse_swa_moba_tiny"
TINY = json.loads((FOLDER / "config.json").read_text())
SOFTMAX = [0, 1, 2, 3, 6, 12, 17, 21, 24, 35]
RELEASED = TINY | {
    "attn": TINY["attn"]
    | {
        "full_layers": [35],
        "layers": SOFTMAX,
        "moba_chunk_size": 4096,
        "moba_topk": 12,
        "num_heads": 32,
        "num_kv_heads": 8,
        "window_size": 128,
    },
    "head_dim": 128,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_heads": 32,
    "num_hidden_layers": 36,
    "num_v_heads": 32,
    "vocab_size": 151936,
    "dtype": "bfloat16",
}


def _released_shapes():
    """Golden README 7.2 with the released values."""
    d, inner, wide, keys, dim = 2560, 9728, 32 * 128, 8 * 128, 128
    table = {"embeddings": (151936, d), "norm": (d,)}
    for i in range(36):
        base, attn = f"layers.{i}.", f"layers.{i}.attn."
        table |= {base + "attn_norm": (d,), base + "mlp_norm": (d,), base + "mlp.down_proj": (d, inner)}
        table |= {base + "mlp.gate_proj": (inner, d), base + "mlp.up_proj": (inner, d)}
        half = "" if i in SOFTMAX else "swa_"
        table |= {attn + half + "q_proj": (wide, d), attn + half + "o_proj": (d, wide)}
        table |= {f"{attn}{half}{name}_proj": (keys, d) for name in "kv"}
        table |= {f"{attn}{half}{name}_norm": (dim,) for name in "qk"}
        if i in SOFTMAX:
            continue
        table |= {f"{attn}sse_{name}_proj": (wide, d) for name in "qkv"}
        table |= {f"{attn}lora_{name}_proj.0": (dim, d) for name in "qk"}
        table |= {f"{attn}lora_{name}_proj.1": (wide, dim) for name in "qk"}
        table |= {attn + "sse_a_proj": (64, d), attn + "sse_b_proj": (64, d), attn + "sse_e_proj": (4, d)}
        table |= {attn + "sse_o_norm": (dim,), attn + "sse_o_proj": (d, wide)}
        table |= {attn + "sse_merge_norm": (d,), attn + "swa_merge_norm": (d,)}
    named = {f"model.{name}.weight": shape for name, shape in table.items()}
    gates = ("A_log", "dt_bias")
    return named | {f"model.layers.{i}.attn.{g}": (64,) for i in range(36) if i not in SOFTMAX for g in gates}


def test_the_full_size_model_asks_for_every_released_tensor_and_no_other():
    config, source = parse_config(RELEASED), ShapeSource()
    weights = FAMILIES["sse_swa_moba"].load(source, config, False, torch.bfloat16)
    assert source.shapes == _released_shapes()
    assert weights.head is weights.embedding
    assert weights.layers[4].sparse.qkv.weight.shape == (3 * 4096, 2560)
    count = sum(torch.Size(shape).numel() for shape in source.shapes.values())
    assert 5.1e9 < count < 5.3e9
    # Norms, gates and router are held in float32, all else in bfloat16.
    assert 2 * count < weights.nbytes() < 2.01 * count
    assert abs(config.parameter_count() / count - 1) < 1e-5


def test_the_full_size_config_says_what_it_is_and_what_it_keeps():
    config = parse_config(RELEASED)
    assert [i for i, layer in enumerate(config.layers) if layer.memory is not None] == SOFTMAX
    assert [layer.memory.topk for layer in config.layers if layer.memory is not None] == [12] * 9 + [None]
    assert {layer.window for layer in config.layers if layer.sparse is not None} == {127}
    text = config.describe()
    for words in (
        "sparse states (2 of 4) in 26 layers",
        "12 blocks of 4,096 keys in 9 layers",
        "all keys in 1",
    ):
        assert words in text
    grown = sum(layer.growth_bytes_per_token(config, 2) for layer in config.layers)
    # 10 layers of 8 heads of 128, key and value, in bfloat16; means of blocks add a byte a layer.
    assert grown == 10 * 2 * 8 * 128 * 2 + 9
    assert sum(layer.state_bytes(config, 2) for layer in config.layers) == 26 * 5 * 32 * 128 * 128 * 4


def test_layers_of_other_families_bring_no_such_memory():
    config = parse_config(json.loads((DATA / "gla_swa_tiny" / "config.json").read_text()))
    assert (
        sum(layer.growth_bytes_per_token(config, 4) + layer.state_bytes(config, 4) for layer in config.layers)
        == 0
    )


def test_the_feed_forward_width_follows_the_ratio_where_none_is_given():
    assert parse_config(RELEASED | {"intermediate_size": None}).intermediate_size == 27 * 256
    assert parse_config(TINY).intermediate_size == 80


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"surprise": 1}, "surprise"),
        ({"attn": TINY["attn"] | {"surprise": 1}}, r"attn\.surprise"),
        ({"attn": [1]}, "attn = "),
        ({"attn": TINY["attn"] | {"layers": [0, 6]}}, r"attn\.layers"),
        ({"attn": TINY["attn"] | {"layers": "even"}}, r"attn\.layers"),
        ({"attn": TINY["attn"] | {"full_layers": [4]}}, r"attn\.full_layers names.*4"),
        ({"attn": TINY["attn"] | {"moba_topk": 0}}, r"attn\.moba_topk"),
        ({"attn": TINY["attn"] | {"moba_chunk_size": "16"}}, r"attn\.moba_chunk_size"),
        ({"attn": TINY["attn"] | {"window_size": None}}, r"attn\.window_size"),
        ({"attn": TINY["attn"] | {"num_heads": 8}}, r"attn\.num_heads"),
        ({"num_v_heads": 8}, "num_v_heads"),
        ({"num_reader": 1}, "num_reader"),
        ({"num_writer": 4, "num_reader": 4}, "num_writer"),
        ({"linear_attn_type": "gla"}, "linear_attn_type"),
        ({"sse_implementation": "mask"}, "sse_implementation"),
        ({"use_output_gate": True}, "use_output_gate"),
        ({"use_short_conv": True}, "use_short_conv"),
        ({"allow_neg_eigval": True}, "allow_neg_eigval"),
        ({"sse_qk_relu": True}, "sse_qk_relu"),
        ({"rope_scaling": {"type": "yarn"}}, "rope_scaling"),
        ({"expand_v": 2}, "expand_v"),
        ({"head_dim": 15}, "head_dim"),
    ],
)
def test_a_config_key_that_cannot_be_is_named(change, word):
    with pytest.raises(ModelError, match=word):
        parse_config(TINY | change)


@pytest.mark.parametrize("key", ["attn", "head_dim", "num_sparse_partition", "norm_eps", "vocab_size"])
def test_a_missing_config_key_is_named(key):
    with pytest.raises(ModelError, match=key):
        parse_config({name: value for name, value in TINY.items() if name != key})


@pytest.mark.parametrize("key", ["rope_theta", "window_size", "moba_topk", "moba_chunk_size"])
def test_a_missing_key_of_the_attention_is_named(key):
    attn = {name: value for name, value in TINY["attn"].items() if name != key}
    with pytest.raises(ModelError, match=rf"attn\.{key}"):
        parse_config(TINY | {"attn": attn})


P = "model.layers.1.attn."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(P + "A_log"), rf"lacks the tensor '{P}A_log'"),
        (lambda t: t.pop(P + "swa_q_norm.weight"), "swa_q_norm"),
        (lambda t: t.pop("model.layers.0.attn.k_norm.weight"), "k_norm"),
        (lambda t: t.pop(P + "lora_k_proj.1.weight"), "lora_k_proj"),
        (lambda t: t.update({P + "q_proj.weight": torch.zeros(64, 48)}), rf"{P}q_proj"),
        (lambda t: t.update({"model.layers.0.attn.q_proj.bias": torch.zeros(64)}), "q_proj.bias"),
        (lambda t: t.update({P + "sse_g_proj.0.weight": torch.zeros(16, 48)}), "sse_g_proj"),
        (lambda t: t.update({P + "sse_e_proj.weight": torch.zeros(5, 48)}), r"sse_e_proj.*shape \[5, 48\]"),
        (lambda t: t.update({P + "dt_bias": torch.zeros(8).long()}), "dt_bias.*int64"),
    ],
)  # fmt: skip
def test_a_tensor_that_is_amiss_is_named(tmp_path, change, message):
    tensors = load_file(FOLDER / "model.safetensors")
    change(tensors)
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        Engine.load(tmp_path)


def test_biases_and_a_head_of_its_own_load(tmp_path):
    tensors = load_file(FOLDER / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embeddings.weight"].flip(0)
    plain = _engine(tmp_path, TINY | {"tie_word_embeddings": False}, tensors)
    ids = [3, 1, 4, 1, 5]
    expected = Engine.load(FOLDER).logits(ids).flip(1)
    torch.testing.assert_close(plain.logits(ids), expected, rtol=0, atol=1e-5)
    for name in [
        name for name in tensors if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight"))
    ]:
        if "sse_" not in name:
            tensors[name.replace("weight", "bias")] = torch.zeros(len(tensors[name]))
    raw = TINY | {"tie_word_embeddings": False, "attn": TINY["attn"] | {"qkv_bias": True}}
    torch.testing.assert_close(_engine(tmp_path, raw, tensors).logits(ids), expected, rtol=0, atol=1e-5)


def test_without_norms_of_queries_and_keys(tmp_path):
    tensors = load_file(FOLDER / "model.safetensors")
    tensors = {
        name: t for name, t in tensors.items() if not name.endswith(("q_norm.weight", "k_norm.weight"))
    }
    plain = _engine(tmp_path, TINY | {"attn": TINY["attn"] | {"qk_norm": False}}, tensors)
    ids = torch.randint(0, 256, (70,), generator=torch.Generator().manual_seed(2)).tolist()
    expected = PlainSparseModel(tmp_path).logits(ids)
    torch.testing.assert_close(plain.logits(ids), expected, rtol=0, atol=3e-4)


def _engine(folder, raw, tensors):
    (folder / "config.json").write_text(json.dumps(raw))
    save_file(tensors, folder / "model.safetensors")
    return Engine.load(folder)


def test_it_is_not_run_spike_coded():
    with pytest.raises(ModelError, match="no INT8 weights"):
        Engine.load(FOLDER, spiking=True)
