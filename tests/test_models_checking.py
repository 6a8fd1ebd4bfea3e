"""Checking a checkpoint by its headers: everything amiss is named, what loading would give is foretold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from app_home import tiny_model
from gguf_files import write_llama
from golden import DATA
from safetensors.torch import load_file, save_file

from app import fitting
from app.errors import UserError
from app.fitting import memory_there, refuse_loading, refuse_reading
from engine import Engine
from engine.config import parse_config
from engine.errors import ModelError
from engine.inspecting import inspect_checkpoint
from engine.memory_plan import MemoryPlan, plan_memory

LLAMA = {
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
}
Change = Callable[[dict[str, torch.Tensor]], object]


def changed(folder: Path, name: str, change: Change) -> Path:
    """A copy of a golden checkpoint with other tensors."""
    shutil.copytree(DATA / name, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("name", ["tiny", "gla_swa_tiny", "w8aspike_tiny", "gguf"])
def test_a_check_foretells_what_loading_gives(name: str, tmp_path: Path) -> None:
    if name == "gguf":
        path = write_llama(tmp_path / "base.gguf")
    else:
        path = tiny_model() if name == "tiny" else DATA / name
    found, engine = inspect_checkpoint(path), Engine.load(path)
    assert [text for text in found.problems if "tokenizer" not in text] == []
    assert found.fingerprint == engine.fingerprint
    assert found.recall == bool(engine.code_bits)
    assert found.description == engine.config.describe()
    assert found.plan.weights == pytest.approx(engine.nbytes, rel=0.05)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("gla_swa_tiny", lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), "up_proj.weight' is missing"),
        ("gla_swa_tiny", lambda t: t.update(extra=torch.zeros(2)), "'extra' is not part"),
        ("gla_swa_tiny", lambda t: t.update({"model.norm.weight": torch.zeros(3)}), "has shape [3]"),
        (
            "gla_swa_tiny",
            lambda t: t.update({"model.norm.weight": torch.zeros(64, dtype=torch.int8)}),
            "holds int8",
        ),
        (
            "w8aspike_tiny",
            lambda t: t.pop("model.layers.1.attn.q_proj.weight_quantizer.scales"),
            "q_proj.weight_quantizer.scales' is missing",
        ),
    ],
)
def test_what_is_amiss_is_named(name: str, change: Change, says: str, tmp_path: Path) -> None:
    problems = inspect_checkpoint(changed(tmp_path / "model", name, change)).problems
    assert [text for text in problems if says in text]


def test_all_missing_tensors_are_named_at_once(tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if ".mlp." in name]:
            del tensors[name]

    problems = inspect_checkpoint(changed(tmp_path / "model", "gla_swa_tiny", change)).problems
    assert len([text for text in problems if "is missing" in text]) == 12


def test_a_truncated_file_and_an_unknown_kind_are_errors(tmp_path: Path) -> None:
    folder = shutil.copytree(DATA / "gla_swa_tiny", tmp_path / "model")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        inspect_checkpoint(folder)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | {"model_type": "mamba"}))
    with pytest.raises(ModelError, match="unknown model type 'mamba'"):
        inspect_checkpoint(folder)


def test_a_missing_tokenizer_is_a_problem_for_reading() -> None:
    assert "there is no tokenizer" in inspect_checkpoint(DATA / "gla_swa_tiny").problems[0]


def test_the_check_reads_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr("engine.weights.TensorSource.take", refuse)
    assert inspect_checkpoint(tiny_model()).problems == ()


def test_full_attention_grows_and_a_window_does_not() -> None:
    full = plan_memory(parse_config(LLAMA), 1_000, 4)
    assert full.growth_per_token == 2 * 3 * 2 * 8 * 4
    assert full.growth_per_million == full.growth_per_token * 1_000_000
    window = plan_memory(Engine.load(tiny_model()).config, 1_000, 2)
    assert (window.growth_per_token, window.needed(0)) == (0, window.needed(10**9))
    assert window.fitting_tokens(10**12) is None
    assert full.fitting_tokens(full.needed(5_000)) == 5_000


def test_the_planned_state_is_what_reading_takes() -> None:
    engine = Engine.load(tiny_model())
    plan = plan_memory(engine.config, engine.nbytes, engine.decoder.cache_dtype.itemsize)
    state = engine.new_state()
    for _ in engine.read([1] * 3_000, state):
        assert state.nbytes <= plan.state + 4 * engine.config.hidden_size


def test_the_planned_growth_is_what_reading_takes(tmp_path: Path) -> None:
    engine = Engine.load(write_llama(tmp_path / "base.gguf"))
    plan = plan_memory(engine.config, engine.nbytes, engine.decoder.cache_dtype.itemsize)
    state = engine.new_state()
    list(engine.read([1] * 4_096, state))
    assert plan.growth_per_token * 4_096 <= state.nbytes <= 2.1 * plan.growth_per_token * 4_096


def test_a_layer_may_speak_for_its_own_memory() -> None:
    class Layer:
        window, linear = None, False

        def state_bytes(self, config: object, element_bytes: int) -> int:
            return 100 * element_bytes

        growth_bytes_per_token = 7

    class Config:
        layers = (Layer(), Layer())
        hidden_size = intermediate_size = vocab_size = 1

    plan = plan_memory(Config(), 0, 2)  # type: ignore[arg-type]
    assert (plan.state, plan.growth_per_token) == (400, 14)


def test_what_cannot_fit_is_refused_with_numbers() -> None:
    plan = MemoryPlan(weights=30_500_000_000, state=0, growth_per_token=55_296, working=700_000_000)
    with pytest.raises(UserError, match=r"needs 31\.2 GB of memory \(30\.5 GB for its weights\); 24\.0 GB"):
        refuse_loading(plan, "big", 24_000_000_000)
    with pytest.raises(UserError, match=r"1,000,000 tokens .* 56\.0 GB .* 55\.3 GB .* about 421,947 tokens"):
        refuse_reading(plan, 1_000_000, 24_032_000_000)
    refuse_reading(plan, 100, 24_000_000_000)


def test_a_container_limits_the_memory_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 50\n")
    assert memory_there(tmp_path) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_there(tmp_path) == pytest.approx(fitting.psutil.virtual_memory().available, rel=0.2)
