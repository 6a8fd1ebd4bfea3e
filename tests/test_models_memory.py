"""What a model needs of memory and disk, held to what reading takes; what cannot fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from app_home import tiny_model
from gguf_files import write_llama
from golden import DATA

from app import fitting
from app.errors import UserError
from app.fitting import Room, memory_plan, memory_there, plan_sentence, refuse_loading, refuse_reading
from engine import Engine
from engine.config import parse_config
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
