"""The gla_swa_moe family: the full-size model of the report, and one clear error for what cannot be."""

import json

import pytest
import torch

from engine.config import parse_config
from engine.errors import ModelError
from engine.families import FAMILIES
from engine.sources import ShapeSource
from tests.moe_parallel import CONFIG, changed, tiny_moe_dir
from tests.test_imports import ROOT

FULL = json.loads((ROOT / "assets/models/spikingbrain-76b-a12b/config.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_moe_dir(tmp_path_factory.mktemp("moe") / "m")


def test_the_full_size_model_has_76_billion_parameters_of_which_12_are_active():
    config, source = parse_config(FULL), ShapeSource()
    weights = FAMILIES["gla_swa_moe"].load(source, config, False, torch.bfloat16)
    sizes = {name: torch.Size(shape).numel() for name, shape in source.shapes.items()}
    total = sum(sizes.values())
    idle = sum(size for name, size in sizes.items() if ".experts." in name) * 15 / 16
    assert round(total / 1e9) == 76
    assert round((total - idle) / 1e9) == 12
    assert abs(config.parameter_count() / total - 1) < 1e-4
    assert abs(config.parameter_count(active=True) / (total - idle) - 1) < 1e-4
    assert weights.nbytes() == pytest.approx(2 * total, rel=1e-3)
    assert all(expert.weight.is_meta for expert in weights.layers[3].experts.down)
    assert "full attention in 4 layers, sliding window 4,096, 128 learned sinks" in config.describe()


def test_the_full_size_model_has_the_layers_of_the_report():
    config = parse_config(FULL)
    assert [i + 1 for i, layer in enumerate(config.layers) if layer.window == -1] == [7, 14, 21, 28]
    assert all(layer.linear and layer.window in (-1, 4096) for layer in config.layers)
    assert [i + 1 for i in range(28) if i not in config.experts.layers] == [1, 2, 3, 5, 7, 9, 11]
    assert (config.experts.count, config.experts.active, config.experts.shared) == (16, 1, 1)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"surprise": 1}, "surprise"),
        ({"full_layers": [3, 9]}, "full_layers"),
        ({"full_layers": [2, 3]}, "window_layers and in full_layers"),
        ({"window_layers": [0, 1], "linear_layers": [0, 1]}, r"\[2\] have no attention"),
        ({"num_experts_per_tok": 5}, "num_experts_per_tok"),
        ({"num_shared_experts": 0}, "num_shared_experts"),
        ({"num_sink_tokens": -1}, "num_sink_tokens"),
        ({"linear_gate": "delta"}, "linear_gate"),
        ({"sliding_window": None}, "sliding_window"),
        ({"dense_layers": "odd"}, "dense_layers"),
    ],
)
def test_a_config_key_that_cannot_be_is_named(change, word):
    with pytest.raises(ModelError, match=word):
        parse_config(CONFIG | change)


@pytest.mark.parametrize("key", ["num_experts", "dense_layers", "num_sink_tokens", "moe_intermediate_size"])
def test_a_missing_config_key_is_named(key):
    with pytest.raises(ModelError, match=key):
        parse_config({name: value for name, value in CONFIG.items() if name != key})


EXPERT = "model.layers.1.mlp.experts.3.gate_up_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(EXPERT), EXPERT),
        (lambda t: t.pop("model.sink_tokens.weight"), "sink_tokens"),
        (lambda t: t.pop("model.layers.0.attn.s_norm.weight"), "s_norm"),
        (lambda t: t.update({EXPERT: torch.zeros(79, 32)}), r"gate_up_proj.*\[79, 32\]"),
        (lambda t: t.update({EXPERT.replace(".3.", ".4."): torch.zeros(80, 32)}), r"experts\.4"),
        (lambda t: t.update({"model.layers.0.mlp.router.weight": torch.zeros(4, 32)}), r"0\.mlp\.router"),
    ],
)
def test_a_tensor_that_is_amiss_is_named(folder, tmp_path, change, message):
    with pytest.raises(ModelError, match=message):
        changed(folder, tmp_path / "bad", change)
