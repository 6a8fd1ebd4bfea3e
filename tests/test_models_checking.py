"""Checking a checkpoint by its headers: everything amiss is named, what loading would give is foretold."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from app_home import make_services, tiny_model
from gguf_files import write_llama
from golden import DATA
from safetensors.torch import load_file, save_file

from app import fitting
from app.errors import UserError
from app.fitting import Room, memory_plan, memory_there, plan_sentence, refuse_loading, refuse_reading
from app.installing import check_model, refuse_unusable
from engine import Engine
from engine.config import parse_config
from engine.errors import ModelError
from engine.inspecting import inspect_checkpoint
from engine.memory_plan import MemoryPlan, plan_memory
from engine.spill import SpillSettings

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


def _retyped(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.float8_e4m3fn)
    save_file(tensors, folder / "model.safetensors")


def _reworded(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        raw = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(raw | changes))

    return change


def _lengthened_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes((1 << 60).to_bytes(8, "little") + file.read_bytes()[8:])


def _pickled(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        path.rename(path.with_suffix(".bin"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "extra key": (_reworded(surprise=1), "config.json has keys that Engram does not know: surprise"),
    "unknown type": (_reworded(model_type="mamba"), "unknown model type 'mamba'"),
    "no type": (_reworded(model_type=None), "unknown model type None"),
    "no JSON": (lambda f: (f / "config.json").write_text("{"), "is not valid JSON"),
    "no object": (lambda f: (f / "config.json").write_text("[]"), "is not an object"),
    "wrong dtype": (_retyped, "'model.norm.weight' holds float8_e4m3fn"),
    "no safetensors": (lambda f: (f / "model.safetensors").write_bytes(b"\x80\x04K."), "cannot be read"),
    "empty file": (lambda f: (f / "model.safetensors").write_bytes(b""), "cannot be read"),
    "endless header": (_lengthened_header, "cannot be read as safetensors"),
    "pickles": (_pickled, "no .safetensors file"),
    "shard missing": (
        lambda f: (f / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}})
        ),
        "lacks the files model-00002-of-00002.safetensors",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_with_a_checkpoint_is_one_clear_sentence_in_the_product(
    damage: str, tmp_path: Path
) -> None:
    change, words = DAMAGES[damage]
    folder = shutil.copytree(DATA / "gla_swa_tiny", tmp_path / "model")
    change(folder)
    services = make_services(tmp_path)
    report = check_model(services, str(folder))
    services.close()
    told = [report.error["message"]] if report.error else report.inspection["problems"]  # type: ignore[index]
    assert len([text for text in told if words in text]) == 1
    assert not report.usable
    assert not any("Unexpected" in text or "Traceback" in text for text in told)
    with pytest.raises(UserError, match=re.escape(words)):
        refuse_unusable(replace(report, inspection=report.inspection and {"problems": [words]}))
    with pytest.raises(ModelError):
        Engine.load(folder)


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
    assert window.longest(10**12, 10**12) is None
    assert full.longest(full.reading(5_000), 10**12) == 5_000
    assert full.longest(10**12, full.on_disk(5_000)) == 5_000
    assert full.longest(0, 10**12) == 0


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
        window, linear, memory = None, False, None

        def state_bytes(self, config: object, element_bytes: int) -> int:
            return 100 * element_bytes

        growth_bytes_per_token = 7

    class Config:
        layers = (Layer(), Layer())
        hidden_size = intermediate_size = vocab_size = num_kv_heads = head_dim = 1

    plan = plan_memory(Config(), 0, 2)  # type: ignore[arg-type]
    assert (plan.state, plan.growth_per_token) == (400, 14)


def test_what_cannot_fit_is_refused_with_numbers() -> None:
    plan = MemoryPlan(weights=30_500_000_000, state=0, growth_per_token=55_296, working=700_000_000)
    with pytest.raises(UserError, match=r"needs 31\.2 GB of memory \(30\.5 GB for its weights\); 24\.0 GB"):
        refuse_loading(plan, "big", 24_000_000_000)
    with pytest.raises(UserError, match=r"1,000,000 tokens .* 56\.0 GB .* 55\.3 GB .* about 421,947 tokens"):
        refuse_reading(plan, 1_000_000, Room(24_032_000_000, 10**12))
    refuse_reading(plan, 100, Room(24_000_000_000, 10**12))
    with pytest.raises(
        UserError, match=r"needs 165\.9 GB on the disk of the home folder.* 100\.0 GB are free"
    ):
        refuse_reading(plan, 1_000_000, Room(10**11, 10**11))
    refuse_reading(plan, 1_000_000, Room(10**11, 10**11, held=10**11))


def test_memory_by_blocks_stays_within_its_limit_and_the_rest_goes_to_disk() -> None:
    config = parse_config(json.loads((DATA / "sse_swa_moba_tiny" / "config.json").read_text()))
    plan = plan_memory(config, 0, 4, spill_limit=1 << 20)
    keys, index = 3 * 2 * 2 * 16 * 4, 2 * (4 * 2 * 16 // 16)  # three layers with keys, two of them choose
    assert (plan.spill_per_token, plan.growth_per_token) == (keys, keys + index)
    fits = (1 << 20) // keys
    assert plan.reading(fits) - plan.reading(0) == (keys + index) * fits
    assert plan.spilled(fits) == 0
    assert plan.reading(10 * fits) - plan.reading(fits) == (1 << 20) - keys * fits + 9 * index * fits
    assert plan.spilled(10 * fits) == 10 * fits * keys - (1 << 20)
    assert plan.on_disk(10 * fits) == plan.spilled(10 * fits) + 3 * plan.saved(10 * fits)
    room = Room(plan.reading(0) + (2 << 20), 0)
    with pytest.raises(UserError, match="on the disk of the home folder"):
        refuse_reading(plan, 20 * fits, room)
    assert plan_memory(config, 0, 4, spill_limit=0).spill_limit == keys * 16, "the block being filled"


def test_the_planned_spill_is_what_reading_takes(tmp_path: Path) -> None:
    engine = Engine.load(DATA / "sse_swa_moba_tiny")
    engine.decoder.spill = SpillSettings(1 << 17, tmp_path)
    plan, state = memory_plan(engine), engine.new_state()
    list(engine.read([1] * 2_048, state))
    memories = [layer.blocks for layer in state.layers if layer.blocks is not None]
    in_ram = sum(memory.ram_nbytes for memory in memories)
    assert state.spilled_nbytes == pytest.approx(plan.spilled(2_048), rel=0.25)
    assert in_ram <= plan.reading(2_048) - plan.reading(0) + 2_048 * 64
    state.save(tmp_path / "saved")
    assert 0.95 * plan.growth_per_token * 2_048 < (tmp_path / "saved").stat().st_size <= plan.saved(2_048)


def test_the_sentence_tells_memory_and_disk() -> None:
    grows = MemoryPlan(0, 0, 82_000, 10**9, spill_per_token=81_920, spill_limit=1 << 30)
    said = plan_sentence(grows, 1_000_000, Room(4 * 10**9, 10**12))
    assert said == (
        "Reading 1,000,000 tokens takes 2.15 GB of memory, of which what grows stays within 1.07 GB; 4.00 GB "
        "are free. On disk it takes 326.8 GB, saved states included (327.9 GB more for each million tokens); "
        "1000.0 GB are free."
    )
    flat = MemoryPlan(10**8, 10**8, 0, 10**8)
    assert plan_sentence(flat, 5, Room(10**9, 1)).endswith(
        "0.30 GB of memory, at any length; 1.00 GB are free."
    )


def test_a_container_limits_the_memory_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 50\n")
    assert memory_there(tmp_path) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_there(tmp_path) == pytest.approx(fitting.psutil.virtual_memory().available, rel=0.2)
