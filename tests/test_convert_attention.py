"""Distilling the linear branches: zero start, state over segments, gradients, parity with the engine."""

import json
import lzma

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import Engine
from engine.convert.attention import HELD_OUT, AttentionSettings, Distiller, texts, train
from engine.convert.hybrid import Hybrid, Memory, Teacher
from engine.convert.softmax import attend_causally
from engine.errors import EngineError
from engine.tokenizer import Tokenizer
from tests.tiny import CORPUS, SETTINGS, tiny_model_dir

COUNT = SETTINGS["num_layers"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model_dir(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def ids():
    return torch.randint(3, SETTINGS["vocab_size"], (100,), generator=torch.Generator().manual_seed(0))


def _open(model, mix=0.5):
    """Give the branches something to say."""
    draw = torch.Generator().manual_seed(1)
    for name, value in model.branches.named_tensors().items():
        if name.endswith("mix"):
            value.data.fill_(mix)
        elif not name.endswith("norm"):
            value.data = torch.randn(value.shape, generator=draw) * 0.3
    return model


def _read(model, ids, segment):
    memory = Memory()
    return torch.cat(
        [model.segment(ids[i : i + segment], memory)[-1] for i in range(0, len(ids), segment)]
    ), memory


def test_branches_start_by_adding_exactly_nothing(folder, ids):
    with_branches, _ = _read(Hybrid(folder, range(COUNT)), ids, 40)
    without, _ = _read(Hybrid(folder, ()), ids, 40)
    assert torch.equal(with_branches, without)


def test_segments_do_not_show(folder, ids):
    model = _open(Hybrid(folder, range(COUNT)))
    model.spiking = False
    (whole, end), (parts, also) = _read(model, ids, 100), _read(model, ids, 23)
    # Float32 sums of 100 terms in another order.
    assert torch.allclose(whole, parts, atol=1e-3 * float(whole.detach().abs().max()))
    for i in range(COUNT):
        assert torch.allclose(end.states[i], also.states[i], rtol=1e-3, atol=1e-4)


def test_the_engine_computes_with_trained_gates_what_the_student_did(folder, ids, tmp_path):
    model = _open(Hybrid(folder, range(COUNT)))
    expected, _ = _read(model, ids, 32)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    gates = {name: value.detach() for name, value in model.branches.named_tensors().items()}
    save_file(load_file(folder / "model.safetensors") | gates, tmp_path / "model.safetensors")
    given = Engine.load(tmp_path, dtype="float32").hidden(ids.tolist())
    assert (given - expected.detach()).norm() < 0.02 * given.norm()


def test_the_teacher_attends_to_everything(folder, ids):
    q, k, v = torch.randn(4, 700, 8), torch.randn(2, 700, 8), torch.randn(2, 700, 8)
    wide = [x.repeat_interleave(2, 0) for x in (k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(q, *wide, is_causal=True)
    assert torch.allclose(attend_causally(q, k, v), expected, atol=1e-5)
    teacher = Teacher(folder, None)
    changed = ids.clone()
    changed[0] = 5
    assert not torch.equal(teacher.read(ids)[-1][-1], teacher.read(changed)[-1][-1])


@pytest.mark.parametrize("mode", ["parallel", "alternate"])
def test_distilling_brings_the_student_nearer(folder, ids, mode):
    settings = AttentionSettings(
        steps=12, segment=50, mode=mode, rate=3e-2, warmup=1, stream_every=1, stride=2
    )
    distiller = Distiller(folder, settings, torch.float32, "cpu")
    first = distiller.train_on(ids)
    for _ in range(11):
        last = distiller.train_on(ids)
    assert last < first
    assert distiller.divergence(ids) < first
    assert all(p.grad is not None for p in distiller.named.values())


def _data(folder):
    folder.mkdir()
    for name in ("physics", "medical", "legal", "general"):
        with lzma.open(folder / f"text_{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": f"{name} {text} " * 5}) + "\n" for text in CORPUS)
    return folder


def test_the_stage_resumes_as_if_never_stopped(folder, tmp_path):
    data = _data(tmp_path / "data")
    settings = AttentionSettings(steps=4, length=60, segment=30, save_every=1)
    train(folder, data, tmp_path / "whole", settings)
    assert [train(folder, data, tmp_path / "parts", settings, stop_s=0.0).step for _ in range(4)] == [
        1,
        2,
        3,
        4,
    ]
    curves = [
        [
            json.loads(line)["loss"]
            for line in (tmp_path / name / "attention.jsonl").read_text("utf-8").splitlines()
        ]
        for name in ("whole", "parts")
    ]
    assert len(curves[0]) == 4
    assert curves[0] == curves[1]
    held = [
        [json.loads(line) for line in (tmp_path / name / HELD_OUT).read_text("utf-8").splitlines()]
        for name in ("whole", "parts")
    ]
    assert [line["step"] for line in held[0]] == [0, 4]
    assert held[0] == held[1]
    assert held[0][0]["kl"] != held[0][1]["kl"]
    assert "layers.0.gate.mix" in load_file(tmp_path / "parts" / "attention.safetensors")


def test_texts_too_short_and_unknown_modes_are_refused(folder, tmp_path):
    with pytest.raises(EngineError, match="no text of 9999"):
        next(texts(_data(tmp_path / "data"), Tokenizer.load(folder), 9999))
    with pytest.raises(EngineError, match="unknown mode"):
        AttentionSettings(mode="sideways")
