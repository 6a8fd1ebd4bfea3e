"""Scores, trials, packaging, and the command line of the conversion."""

import json
import lzma
import os
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine import Engine
from engine.answering import NOT_FOUND, AnswerResult, AnswerStats, Quote
from engine.convert import package as packaging
from engine.convert.__main__ import main
from engine.convert.data import read_eval
from engine.convert.evaluate import judge, perplexity
from engine.convert.package import package, spike_factors
from engine.convert.scoring import contains, exact, f1
from engine.convert.trials import Trial, read_trials
from engine.errors import EngineError
from engine.evidence import Evidence
from engine.prepare import prepare
from tests.gguf_files import write_llama
from tests.tiny import SETTINGS, tiny_model_dir


def test_scores_are_those_of_squad():
    golds = ["the ninety days", "90 days"]
    assert exact("Ninety days.", golds) == 1.0
    assert exact("ninety", golds) == 0.0
    assert f1("about ninety days", golds) == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert f1("thirty weeks", golds) == 0.0
    assert f1("", golds) == 0.0
    assert contains("It ends after 90 days of notice", golds) == 1.0
    assert contains("190 days", ["90 days"]) == 0.0


def _result(text, evidence_id=None):
    quotes = () if evidence_id is None else (Quote(1, evidence_id, 0, 5, "It is ninety days.", True, 1.0),)
    return AnswerResult(text, "supported", 0.9, quotes, AnswerStats())


def test_refusals_and_citations_are_judged_apart():
    passage = (Evidence(3, "a", "", "It is ninety days."),)
    there, absent = Trial("q", ("ninety days",), passage, 3), Trial("q", (), passage, None)
    found = judge(
        [there, there, there, absent, absent],
        [
            _result("ninety days [1]", 3),
            _result("no idea [1]", 4),
            _result(NOT_FOUND),
            _result(NOT_FOUND),
            _result("x [1]", 3),
        ],
    )
    assert (found["there"], found["absent"]) == (3, 2)
    assert found["em"] == found["f1"] == pytest.approx(0.333)
    assert (found["citation_precision"], found["answered_when_there"]) == (0.5, 0.667)
    assert found["refused_when_absent"] == 0.5


def _data(folder):
    folder.mkdir(parents=True)
    rows = [
        {
            "rec": "passage",
            "cid": f"c{i}",
            "title": f"t{i}",
            "text": f"Lease {i} ends after {i}0 days of notice.",
        }
        for i in range(6)
    ]
    rows += [
        {
            "rec": "question",
            "cid": f"c{i}",
            "question": f"When ends lease {i}?",
            "answers": [f"{i}0 days"],
            "spec": 2,
        }
        for i in range(1, 5)
    ]
    rows.append({"rec": "question", "cid": "c0", "question": "Who signed lease 0?", "answers": [], "spec": 2})
    with lzma.open(folder / "eval_squad.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    with lzma.open(folder / "eval_pubmedqa.jsonl.xz", "wt", encoding="utf-8") as file:
        for half in ("cv", "test"):
            row = {
                "id": half,
                "split": half,
                "question": "Does it help?",
                "contexts": ["We gave it.", "To 9."],
            }
            file.write(json.dumps(row | {"long_answer": "It helped.", "final_decision": "yes"}) + "\n")
    with lzma.open(folder / "text_physics.jsonl.xz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"text": "The mass was measured twice. " * 600}) + "\n")
    return folder


def test_trials_hold_the_right_passage_among_others_that_lack_the_answer(tmp_path):
    trials = read_trials(_data(tmp_path / "data"), "squad", 4)
    assert len(trials) == 4
    for trial in trials:
        assert len({e.id for e in trial.evidence}) == 3
        if trial.gold is not None:
            holding = [e.id for e in trial.evidence if trial.answers[0] in e.text]
            assert holding == [trial.gold]
    assert sum(trial.gold is None for trial in trials) == 1


def test_an_abstract_of_the_test_half_is_answered_by_its_conclusion(tmp_path):
    passages, questions = read_eval(_data(tmp_path / "data"), "pubmedqa")
    assert [(p.cid, p.text) for p in passages] == [("test", "We gave it.\nTo 9."), ("test:end", "It helped.")]
    assert [(q.cid, q.question, q.answers) for q in questions] == [
        ("test:end", "Does it help?", ("It helped.",))
    ]


def test_perplexity_of_a_text_is_the_engines(tmp_path):
    data, engine = _data(tmp_path / "data"), Engine.load(tiny_model_dir(tmp_path))
    found = perplexity(engine, data, (1024, 2048))
    assert set(found) == {"1024", "2048"}
    assert all(value > 1 for value in found.values())
    assert found == perplexity(engine, data, (2048, 1024))


def test_the_stage_writes_one_line_a_run(tmp_path, capsys):
    data, model, out = _data(tmp_path / "data"), tiny_model_dir(tmp_path), tmp_path / "out.jsonl"
    arguments = ["evaluate", "--model", str(model), "--data", str(data), "--out", str(out), "--sets", "squad"]
    for extra in ([], ["--dense"], ["--read", "40"], ["--forced"], ["--spike-k", "2"]):
        assert main([*arguments, "--name", "tiny", "--questions", "2", "--places", "1024", *extra]) == 0
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["spiking"] for line in lines] == [True, False, True, True, True]
    assert [line.get("spike_k") for line in lines][1:] == [None, 3.0, 3.0, 2.0]
    assert lines[3]["answers"]["squad"]["answered_when_there"] == 1.0
    assert lines[3]["answers"]["squad"]["refused_when_absent"] == 0.0
    assert lines[4]["spikes"]["sparsity_3_bit"] > lines[0]["spikes"]["sparsity_3_bit"]
    assert lines[0]["answers"]["squad"]["there"] == 1
    assert "1024" in lines[0]["perplexity"]
    assert 0 < lines[0]["spikes"]["silent_share"] < lines[0]["spikes"]["sparsity_3_bit"] < 1
    assert "spikes" not in lines[1]


def test_a_base_is_prepared_with_the_wanted_factors_and_window(tmp_path):
    gguf, out = write_llama(tmp_path / "base.gguf"), tmp_path / "base"
    arguments = ["prepare", "--gguf", str(gguf), "--out", str(out), "--spike-k", "3", "1.75"]
    assert main([*arguments, "--window", "64"]) == 0
    config = Engine.load(out).config
    assert config.spike.k == 1.75
    assert {layer.window for layer in config.layers} == {64}


def test_packaging_joins_stages_and_set_up_merges_them(tmp_path, monkeypatch):
    gguf = write_llama(tmp_path / "base.gguf")
    base = tmp_path / "base"
    prepare(gguf, base)
    before = load_file(base / "model.safetensors")
    rows, columns = before["layers.1.down.codes"].shape
    lora = {
        "layers.1.down.lora.down": torch.randn(2, columns) * 0.1,
        "layers.1.down.lora.up": torch.randn(rows, 2) * 0.1,
        "exp_avg:layers.1.down.lora.up": torch.ones(rows, 2),
    }
    save_file(lora, tmp_path / "answer.safetensors")
    save_file({"recall.layer": torch.tensor([2])}, tmp_path / "recall.safetensors")
    out = tmp_path / "adapter.safetensors"
    package(
        [tmp_path / "answer.safetensors", tmp_path / "recall.safetensors"],
        out,
        {"grounded": True, "spike_k": 2.0},
    )
    with safe_open(out, "pt") as file:
        assert sorted(file.keys()) == ["layers.1.down.lora.down", "layers.1.down.lora.up", "recall.layer"]
        assert file.get_tensor("layers.1.down.lora.up").dtype == torch.bfloat16
    prepare(gguf, tmp_path / "merged", out)
    after = load_file(tmp_path / "merged" / "model.safetensors")
    assert not torch.equal(after["layers.1.down.codes"], before["layers.1.down.codes"])
    assert torch.equal(after["layers.0.down.codes"], before["layers.0.down.codes"])
    config = json.loads((tmp_path / "merged" / "config.json").read_text("utf-8"))
    assert (config["grounded"], config["spike_k"]) == (True, 2.0)


def test_packaging_refuses_what_is_missing_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(EngineError, match="no adapter file"):
        package([tmp_path / "none"], tmp_path / "out", {})
    save_file({"x": torch.zeros(100)}, tmp_path / "a.safetensors")
    monkeypatch.setattr(packaging, "LARGEST", 100)
    with pytest.raises(EngineError, match="more than 30 MB"):
        package([tmp_path / "a.safetensors"], tmp_path / "out", {})


def test_threshold_factors_are_one_or_one_a_layer():
    assert spike_factors([2.5], 4) == 2.5
    assert spike_factors([3.0, 3.0, 1.7], 5) == [3.0, 3.0, 1.7, 1.7, 1.7]


def test_the_fingerprint_tells_a_merged_model_from_its_base(tmp_path):
    gguf = write_llama(tmp_path / "base.gguf")
    adapter = {"layers.0.out.lora.down": torch.ones(1, SETTINGS["num_heads"] * SETTINGS["head_dim"])}
    adapter["layers.0.out.lora.up"] = torch.ones(SETTINGS["hidden_size"], 1)
    save_file(adapter, tmp_path / "adapter.safetensors")
    prepare(gguf, tmp_path / "base")
    prepare(gguf, tmp_path / "merged", tmp_path / "adapter.safetensors")
    assert Engine.load(tmp_path / "base").fingerprint != Engine.load(tmp_path / "merged").fingerprint


def test_a_missing_file_is_one_line_and_exit_code_1(tmp_path, capsys):
    model = str(tiny_model_dir(tmp_path))
    code = main(["answer", "--model", model, "--data", str(tmp_path), "--work", str(tmp_path / "w")])
    assert code == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def _training_data(folder):
    data = _data(folder)
    rows = [
        {"cid": f"c{i}", "title": f"t{i}", "doc": "d", "text": f"Lease {i} ends after {i}0 days."}
        for i in range(10)
    ]
    asked = [
        {"cid": f"c{i}", "kind": "human", "question": f"When ends {i}?", "answers": [f"{i}0 days"], "spec": 2}
        for i in range(10)
    ]
    texts = [{"text": "The mass was measured twice. " * 40}] * 3
    files = {"contexts": rows, "qa_train": asked} | {
        f"text_{f}": texts for f in ("medical", "legal", "general")
    }
    for name, lines in files.items():
        with lzma.open(data / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    for name in ("nq", "covidqa", "cuad", "statutes", "medical", "physics", "general"):
        (data / f"eval_{name}.jsonl.xz").write_bytes((data / "eval_squad.jsonl.xz").read_bytes())
    return data


def test_the_gpu_script_runs_every_stage_and_goes_on_where_it_stopped(tmp_path):
    gguf = write_llama(tmp_path / "base.gguf")
    whole = gguf.read_bytes()
    for piece, part in (("a", whole[:5000]), ("b", whole[5000:])):  # as it travels in two transfers
        (tmp_path / f"base.gguf.part-{piece}").write_bytes(part)
    gguf.unlink()
    places = {
        "DATA": _training_data(tmp_path / "data"),
        "GGUF": gguf,
        "OUT": tmp_path / "out",
        "WORK": tmp_path / "w",
    }
    settings = {name: str(path) for name, path in places.items()} | {"TINY": "1", "PYTHON": sys.executable}
    command = ["bash", "engine/convert/gpu.sh"]
    first = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    assert "FAILED" not in first.stdout, first.stdout + first.stderr
    for name in ("attention", "answer", "recall", "package", "evaluate-trained"):
        assert (tmp_path / "w" / f"{name}.done").exists(), first.stdout + first.stderr
    assert (tmp_path / "out" / "adapter.safetensors.part-aa").exists()
    names = [
        json.loads(line)["name"] for line in (tmp_path / "out" / "evaluate.jsonl").read_text().splitlines()
    ]
    assert names == ["base", "trained"]
    again = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    assert "answer: done before" in again.stdout
