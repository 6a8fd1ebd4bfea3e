"""Upcycling: a mixture of experts that starts as the dense model it was made from."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import Engine
from engine.convert.__main__ import main
from engine.convert.progress import Progress, seconds
from engine.convert.shard_writer import ShardWriter
from engine.convert.upcycle import UpcycleSettings, alpha, upcycle
from engine.errors import EngineError
from tests.dense_checkpoints import tiny_dense_dir
from tests.gguf_files import write_llama
from tests.golden import DATA

SMALL = UpcycleSettings(experts=4)


def _ids(count=60, seed=0):
    return torch.randint(0, 128, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def _equal(before, after, atol=1e-4):
    """Engines that compute the same."""
    torch.testing.assert_close(after.logits(_ids()), before.logits(_ids()), rtol=0, atol=atol)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gla_swa"])
def test_the_upcycled_model_equals_the_dense_one(tmp_path, kind):
    before = Engine.load(tiny_dense_dir(tmp_path / "dense", kind))
    upcycle(tmp_path / "dense", tmp_path / "moe", SMALL)
    after = Engine.load(tmp_path / "moe")
    assert after.config.model_type == "gla_swa_moe"
    assert after.config.experts.layers == {3}
    assert after.tokenizer.encode("The patient") == before.tokenizer.encode("The patient")
    _equal(before, after)


@pytest.mark.parametrize(("experts", "active", "shared"), [(4, 2, 1), (8, 3, 2), (2, 2, 1)])
def test_any_number_of_active_and_shared_experts_starts_as_the_dense_model(tmp_path, experts, active, shared):
    before = Engine.load(tiny_dense_dir(tmp_path / "dense", "qwen2"))
    settings = UpcycleSettings(experts, active, shared, dense_layers=(2,))
    upcycle(tmp_path / "dense", tmp_path / "moe", settings)
    after = Engine.load(tmp_path / "moe")
    assert after.config.experts.layers == {0, 2, 3}
    _equal(before, after)


def test_the_factor_is_the_reports_and_stands_where_the_output_is_linear(tmp_path):
    assert alpha(16, 1, 1) == pytest.approx((16 / 17) ** (1 / 3))
    assert round(alpha(16, 1, 1), 2) == 0.98
    upcycle(tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / "moe", UpcycleSettings(dense_layers=(1,)))
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("dense", "moe"))
    base = "model.layers.2.mlp."
    gate, up = new[base + "experts.15.gate_up_proj.weight"].chunk(2)
    assert torch.equal(gate, old[base + "gate_proj.weight"])
    torch.testing.assert_close(up, old[base + "up_proj.weight"] * (16 / 17) ** 0.5)
    torch.testing.assert_close(
        new[base + "experts.0.down_proj.weight"], old[base + "down_proj.weight"] * (16 / 17) ** 0.5
    )
    assert not new[base + "router.weight"].any()
    assert not any(name.startswith("model.layers.0.mlp.router") for name in new)


def test_a_router_with_a_spread_parts_the_tokens_and_repeats_with_its_seed(tmp_path):
    before = Engine.load(tiny_dense_dir(tmp_path / "dense", "llama"))
    spread = UpcycleSettings(4, dense_layers=(), router_std=0.02, seed=3)
    for name in ("a", "b"):
        upcycle(tmp_path / "dense", tmp_path / name, spread)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("a", "b"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    logits = before.logits(_ids())
    difference = float((Engine.load(tmp_path / "a").logits(_ids()) - logits).abs().max())
    assert 1e-3 < difference < 0.2 * float(logits.abs().max())


def test_a_checkpoint_in_bfloat16_stays_so_and_equals_within_its_rounding(tmp_path):
    before = Engine.load(tiny_dense_dir(tmp_path / "dense", "qwen2", torch.bfloat16))
    upcycle(tmp_path / "dense", tmp_path / "moe", UpcycleSettings(4, dense_layers=()))
    tensors = load_file(tmp_path / "moe" / "model.safetensors")
    assert {str(t.dtype) for name, t in tensors.items() if "router" not in name} == {"torch.bfloat16"}
    raw = json.loads((tmp_path / "moe" / "config.json").read_text("utf-8"))
    assert (raw["torch_dtype"], raw["bos_token_id"]) == ("bfloat16", 0)
    scale = float(before.logits(_ids()).abs().max())
    _equal(before, Engine.load(tmp_path / "moe"), atol=2**-6 * scale)


def test_a_gguf_file_and_the_released_layout_can_be_upcycled(tmp_path):
    file = write_llama(tmp_path / "model.gguf")
    upcycle(file, tmp_path / "from-gguf", UpcycleSettings(4, dense_layers=(1,)))
    after = Engine.load(tmp_path / "from-gguf")
    _equal(Engine.load(file), after)
    assert after.tokenizer.decode(after.tokenizer.encode("The patient")) == "The patient"
    upcycle(DATA / "gla_swa_tiny", tmp_path / "from-7b", UpcycleSettings(4, dense_layers=()))
    _equal(Engine.load(DATA / "gla_swa_tiny"), Engine.load(tmp_path / "from-7b"))


def test_small_shards_get_an_index_and_load(tmp_path):
    before = Engine.load(tiny_dense_dir(tmp_path / "dense", "llama"))
    upcycle(tmp_path / "dense", tmp_path / "moe", UpcycleSettings(4, shard_bytes=100_000))
    files = sorted(path.name for path in (tmp_path / "moe").glob("*.safetensors"))
    assert len(files) > 3
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    _equal(before, Engine.load(tmp_path / "moe"))


def test_the_command_writes_the_folder_and_says_so(tmp_path, capsys):
    source, out = tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / "moe"
    command = ["upcycle", str(source), "--out", str(out), "--experts", "2", "--dense-layers", "1,3"]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert f"{out} is ready" in captured.out
    assert "upcycling:" in captured.err
    assert "100%" in captured.err
    assert json.loads((out / "config.json").read_text("utf-8"))["dense_layers"] == [0, 2]
    assert main(command) == 1
    assert capsys.readouterr().err.strip() == f"{out} exists already Give another --out, or remove it."


def test_dense_layers_that_are_no_numbers_are_a_mistake_in_the_command(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["upcycle", str(tmp_path), "--out", str(tmp_path / "x"), "--dense-layers", "odd"])
    assert "'odd' is no list of layers" in capsys.readouterr().err


def _broken(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.2.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors")
    return folder


def _with_more(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"model.extra": torch.zeros(2)}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (lambda path: DATA / "w8aspike_tiny", {}, "already quantised"),
        (lambda path: DATA / "missing", {}, "no model folder"),
        (lambda path: _broken(tiny_dense_dir(path, "llama")), {}, r"model\.layers\.2\.mlp\.up_proj"),
        (lambda path: _with_more(tiny_dense_dir(path, "llama")), {}, r"model\.extra"),
        (lambda path: tiny_dense_dir(path, "llama"), {"active": 17}, "17 active of 16"),
        (lambda path: tiny_dense_dir(path, "llama"), {"shared": 0}, "0 shared"),
        (lambda path: tiny_dense_dir(path, "llama"), {"dense_layers": (0, 1)}, "count from 1"),
        (lambda path: tiny_dense_dir(path, "llama"), {"dense_layers": (1, 2, 3, 4)}, "would stay dense"),
    ],
)
def test_what_cannot_be_upcycled_says_why_and_leaves_nothing(tmp_path, make, changes, message):
    source = make(tmp_path / "dense")
    with pytest.raises(EngineError, match=message):
        upcycle(source, tmp_path / "moe", UpcycleSettings(**changes))
    assert not [path.name for path in tmp_path.iterdir() if path.name != "dense"]


def test_a_mixture_cannot_be_upcycled_again(tmp_path):
    upcycle(tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / "moe", SMALL)
    with pytest.raises(EngineError, match="'gla_swa_moe' cannot be converted"):
        upcycle(tmp_path / "moe", tmp_path / "again", SMALL)


def test_a_full_disk_is_told_before_any_work(tmp_path, monkeypatch):
    source = tiny_dense_dir(tmp_path / "dense", "llama")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(EngineError, match=r"takes 0\.\d GB.*0\.0 GB free"):
        upcycle(source, tmp_path / "moe", SMALL)


@pytest.mark.parametrize("after", [1, 7])
def test_an_interrupted_upcycling_goes_on_and_gives_the_same_files(tmp_path, monkeypatch, after):
    source = tiny_dense_dir(tmp_path / "dense", "llama")
    settings = UpcycleSettings(4, router_std=0.5, seed=3, shard_bytes=100_000)
    upcycle(source, tmp_path / "whole", settings)
    flush, shards = ShardWriter._flush, []

    def stop(self):
        flush(self)
        shards.append(1)
        if len(shards) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(ShardWriter, "_flush", stop)
    with pytest.raises(KeyboardInterrupt):
        upcycle(source, tmp_path / "moe", settings)
    monkeypatch.setattr(ShardWriter, "_flush", lambda self: (shards.append(1), flush(self)))
    upcycle(source, tmp_path / "moe", settings)
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in (tmp_path / "moe").iterdir()) == names
    assert len(shards) == len([name for name in names if name.startswith("model-")])
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "moe" / name).read_bytes()


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    (tmp_path / ".moe.unfinished").mkdir()
    (tmp_path / ".moe.unfinished" / "part-7.safetensors").write_bytes(b"half")
    upcycle(tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / "moe", SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "moe"]
    assert not list((tmp_path / "moe").glob("part*"))


def test_progress_tells_the_time_left(monkeypatch):
    import io

    progress = Progress("work", 200, "MB", io.StringIO())
    progress.add(50)
    assert progress.line(progress._started + 30) == "work: 50 of 200 MB, 25%, 1 min 30 s left"
    progress.add(150)
    assert progress.line(progress._started + 40) == "work: 200 of 200 MB, 100%, 40 s"
    assert seconds(7500) == "2 h 5 min"
