"""Dense checkpoints into W8ASpike form: what is written, what it computes, what is reported."""

import dataclasses
import json
import math

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from engine import Engine
from engine.convert import spike
from engine.convert.__main__ import main
from engine.convert.calibration import fit_scales, group_size
from engine.convert.measure import FullTally
from engine.convert.shard_writer import ShardWriter
from engine.convert.texts import encode_texts, read_texts
from engine.errors import EngineError
from kernels.spike import encode
from tests.dense_checkpoints import tiny_dense_dir
from tests.gguf_files import write_llama
from tests.golden import DATA
from tests.spiking_brain import PlainModel
from tests.tokenizer_files import LINES

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.fixture
def texts(tmp_path):
    """A file of few short texts: tests take no more time than that."""
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in LINES), "utf-8")
    return path


def _perplexity(engine, path):
    """Of each text's tokens after a separator, by the facade alone."""
    losses = []
    for ids in encode_texts(engine.tokenizer, read_texts(path)):
        scores = torch.log_softmax(engine.logits(ids[:-1]), dim=-1)
        losses += (-scores[torch.arange(len(ids) - 1), ids[1:]]).tolist()
    return math.exp(sum(losses) / len(losses))


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gla_swa"])
def test_a_converted_checkpoint_runs_spiking_and_its_reported_perplexity_is_what_it_has(
    tmp_path, texts, kind
):
    before = Engine.load(tiny_dense_dir(tmp_path / "dense", kind))
    report = spike.convert(tmp_path / "dense", tmp_path / "spiking", texts)
    after = Engine.load(tmp_path / "spiking")
    assert after.spiking
    assert after.config.model_type == kind
    assert after.tokenizer.encode("The patient") == before.tokenizer.encode("The patient")
    assert report.perplexity_before == pytest.approx(_perplexity(before, texts), rel=1e-4)
    assert report.perplexity_after == pytest.approx(_perplexity(after, texts), rel=1e-4)
    assert report.perplexity_after != pytest.approx(report.perplexity_before, rel=1e-3)
    assert (report.texts, report.family, report.group_size) == (len(LINES), kind, 64)


def test_a_converted_base_gives_the_same_logits_in_pieces(tmp_path, texts):
    spike.convert(tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / "spiking", texts)
    engine, ids = Engine.load(tmp_path / "spiking"), list(range(5, 29))
    state, parts = engine.new_state(), []
    for piece in (ids[:1], ids[1:9], ids[9:]):
        parts.append(engine.logits(piece, state))
    torch.testing.assert_close(torch.cat(parts), engine.logits(ids), rtol=0, atol=1e-4)


def test_the_converted_7b_layout_is_what_the_released_semantics_compute(tmp_path, texts):
    """Golden README 4 in plain arithmetic on the files written."""
    spike.convert(tiny_dense_dir(tmp_path / "dense", "gla_swa"), tmp_path / "spiking", texts)
    # Short: with a free prompt one count in 10^5 may round the other way (golden README 4.3).
    ids = torch.randint(0, 400, (16,), generator=torch.Generator().manual_seed(0)).tolist()
    truth = PlainModel(tmp_path / "spiking").logits(ids)
    torch.testing.assert_close(Engine.load(tmp_path / "spiking").logits(ids), truth, rtol=0, atol=1e-4)
    tensors = load_file(tmp_path / "spiking" / "model.safetensors")
    assert tensors["model.layers.0.attn.gk_proj.weight"].shape == (32, 64)
    assert not any(".gk_proj.0" in name or ".gk_proj.1" in name for name in tensors)


def test_weights_keep_their_values_and_every_projection_gains_scales(tmp_path, texts):
    source = tiny_dense_dir(tmp_path / "dense", "qwen2", torch.bfloat16)
    spike.convert(source, tmp_path / "spiking", texts)
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("dense", "spiking"))
    assert all(torch.equal(new[name], old[name]) for name in old)
    scales = {name: new[name] for name in new.keys() - old.keys()}
    assert len(scales) == 4 * len(PROJECTIONS)
    for name, scale in scales.items():
        weight = old[name.replace(".weight_quantizer.scales", ".weight")].float()
        assert scale.shape == (len(weight), weight.shape[1] // group_size(weight.shape[1]), 1)
        codes = torch.round(weight.view(len(weight), scale.shape[1], -1) / scale)
        assert 100 <= int(codes.abs().max()) <= 127
    dense = Engine.load(tmp_path / "spiking", spiking=False)
    ids = list(range(40))
    torch.testing.assert_close(dense.logits(ids), Engine.load(source).logits(ids), rtol=0, atol=1e-6)


def test_a_gguf_file_becomes_a_folder(tmp_path, texts):
    report = spike.convert(write_llama(tmp_path / "model.gguf"), tmp_path / "spiking", texts)
    after = Engine.load(tmp_path / "spiking")
    assert after.spiking
    assert report.model == "model.gguf"
    assert report.perplexity_after == pytest.approx(_perplexity(after, texts), rel=1e-4)


def test_the_report_lies_beside_the_checkpoint_as_a_table_and_as_json(tmp_path, texts, capsys):
    source, out = tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / "spiking"
    command = ["spike", str(source), "--out", str(out), "--texts", str(texts)]
    assert main([*command, "--json"]) == 0
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    assert said == json.loads((out / "spike-report.json").read_text("utf-8"))
    table = (out / "spike-report.txt").read_text("utf-8")
    for row in ("perplexity, dense", "spikes per channel", "silent channels", "sparsity over 3 bits"):
        assert row in table
    assert f"{said['silent_share']:.1%}" in table
    for label in ("reading before", "converting", "reading after"):
        assert f"{label}: " in captured.err
    assert 0 < said["silent_share"] < 1
    assert 0 < said["sparsity_3bit"] < 1
    assert said["spikes_per_channel"] > 0.5
    assert said["largest_count"] > 7


def test_the_table_is_printed_without_json(tmp_path, texts, capsys):
    source, out = tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / "spiking"
    assert main(["spike", str(source), "--out", str(out), "--texts", str(texts)]) == 0
    printed = capsys.readouterr().out
    assert (out / "spike-report.txt").read_text("utf-8").strip() in printed
    assert f"{out} is ready" in printed


def test_spikes_are_counted_bit_by_bit_over_every_token():
    tally = FullTally()
    x = torch.tensor([[0.0, 1.0, -3.0, 8.0], [0.0, 0.0, 0.0, 12.0]])
    tally.add(encode(x, 3.0))
    # Counts 0, 1, -3, 8 and 0, 0, 0, 12 (thresholds 1): bits 1 + 2 + 1 and 2, of these low 1 + 2 and 1.
    assert tally.spikes_per_channel() == 6 / 8
    assert tally.silent_share() == 4 / 8
    assert tally.sparsity() == 1 - 4 / 24
    assert (tally.small, tally.largest) == (6, 12)


def test_fitted_scales_lose_less_on_the_channels_that_matter_and_fit_int8():
    draw = torch.Generator().manual_seed(0)
    weight, moments = torch.randn(20, 256, generator=draw), torch.rand(256, generator=draw) ** 8
    weight[3, :128] = 0

    def loss(scale):
        parts = weight.view(20, 2, 128)
        return (((torch.round(parts / scale) * scale - parts) ** 2).reshape(20, 256) * moments).sum()

    fitted = fit_scales(weight, moments)
    plain = weight.view(20, 2, 128).abs().amax(-1, keepdim=True).clamp(min=1e-3) / 127
    assert loss(fitted) < 0.95 * loss(plain)
    assert int(torch.round(weight.view(20, 2, 128) / fitted).abs().max()) <= 127
    assert bool((fitted > 0).all())


@pytest.mark.parametrize(("width", "size"), [(3584, 128), (576, 96), (64, 64), (96, 96), (131, 1)])
def test_groups_divide_any_width(width, size):
    assert group_size(width) == size


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, r"cannot read texts from .*none\.txt"),
        ("binary.txt", b"\xff\xfe\x00", r"cannot read texts from .*binary\.txt"),
        ("empty.jsonl", b"\n\n", "holds no text"),
        ("bad.jsonl", b'"fine"\n{"txt": 1}\n', r"line 2 of .*bad\.jsonl"),
        ("bad.jsonl.xz", b"not xz", r"cannot read texts from .*bad\.jsonl\.xz"),
    ],
)
def test_texts_that_cannot_be_read_say_why_and_nothing_is_left(tmp_path, name, content, message):
    source, path = tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=message):
        spike.convert(source, tmp_path / "spiking", path)
    assert not [p.name for p in tmp_path.iterdir() if "spiking" in p.name]


def test_a_quantised_an_unknown_and_an_untokenised_checkpoint_are_refused(tmp_path, texts, capsys):
    for source, message in (
        (DATA / "w8aspike_tiny", "already quantised"),
        (DATA / "gla_swa_tiny", "no tokenizer"),
        (tmp_path / "nothing", "no model folder"),
    ):
        assert main(["spike", str(source), "--out", str(tmp_path / "x"), "--texts", str(texts)]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    other = tiny_dense_dir(tmp_path / "other", "llama")
    raw = json.loads((other / "config.json").read_text("utf-8"))
    (other / "config.json").write_text(json.dumps(raw | {"model_type": "mamba"}), "utf-8")
    with pytest.raises(EngineError, match="'mamba' cannot be converted"):
        spike.convert(other, tmp_path / "x", texts)
    (tmp_path / "there").mkdir()
    with pytest.raises(EngineError, match="exists already"):
        spike.convert(other, tmp_path / "there", texts)


def _files(folder):
    """Times at which the shards of an unfinished conversion were written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}


@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupted_conversion_goes_on_and_writes_no_shard_twice(tmp_path, texts, monkeypatch, after):
    source, left = tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / ".spiking.unfinished"
    whole = spike.convert(source, tmp_path / "whole", texts, shard_bytes=40_000)
    fit, fitted = spike.fit_scales, []

    def stop(*given):
        if len(list(left.glob("part-*.safetensors"))) >= after:
            raise KeyboardInterrupt
        return fit(*given)

    monkeypatch.setattr(spike, "fit_scales", stop)
    with pytest.raises(KeyboardInterrupt):
        spike.convert(source, tmp_path / "spiking", texts, shard_bytes=40_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".spiking.unfinished", "dense", "texts.jsonl", "whole",
    ]  # fmt: skip
    before = _files(left)
    assert len(before) == after + 1, "shards and the calibration"

    def count(weight, moments):
        fitted.append(weight.shape)
        return fit(weight, moments)

    monkeypatch.setattr(spike, "fit_scales", count)
    monkeypatch.setattr(spike, "_calibrate", None)  # the texts are not read again
    publish, written = ShardWriter.publish, {}
    monkeypatch.setattr(
        ShardWriter, "publish", lambda self: (written.update(_files(self.folder)), publish(self))
    )
    report = spike.convert(source, tmp_path / "spiking", texts, shard_bytes=40_000)
    assert not left.exists()
    assert len(fitted) < 7 * 4
    assert {time for name, time in before.items() if "part" in name} <= set(written.values())
    assert dataclasses.replace(report, model="x") == dataclasses.replace(whole, model="x")
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in (tmp_path / "spiking").iterdir()) == names
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "spiking" / name).read_bytes()


def test_a_conversion_interrupted_while_it_measures_goes_on_from_there(tmp_path, texts, monkeypatch):
    source, measure = tiny_dense_dir(tmp_path / "dense", "llama"), spike._measure

    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(spike, "_measure", stop)
    command = ["spike", str(source), "--out", str(tmp_path / "spiking"), "--texts", str(texts)]
    assert main(command) == 130
    assert not (tmp_path / "spiking").exists()
    monkeypatch.setattr(spike, "_measure", measure)
    monkeypatch.setattr("engine.convert.shard_writer.save_file", None)  # nothing is written again
    assert main(command) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "spiking", "texts.jsonl"]


def test_what_another_conversion_left_is_not_gone_on_with(tmp_path, texts, monkeypatch):
    source, left = tiny_dense_dir(tmp_path / "dense", "llama"), tmp_path / ".spiking.unfinished"
    left.mkdir()
    (left / "journal.json").write_text(json.dumps({"stamp": "other", "shards": [["x"]], "written": 9}))
    (left / "part-0.safetensors").write_bytes(b"of another model")
    spike.convert(source, tmp_path / "spiking", texts)
    assert Engine.load(tmp_path / "spiking").spiking
    assert not left.exists()


@pytest.mark.parametrize("kind", [OSError, SafetensorError])
def test_a_disk_that_fills_up_is_one_clear_error(tmp_path, texts, monkeypatch, kind):
    source = tiny_dense_dir(tmp_path / "dense", "llama")

    def fail(*arguments, **more):
        raise kind("No space left on device")

    monkeypatch.setattr("engine.convert.shard_writer.save_file", fail)
    with pytest.raises(EngineError, match="No space left"):
        spike.convert(source, tmp_path / "spiking", texts)
    assert not (tmp_path / "spiking").exists()
