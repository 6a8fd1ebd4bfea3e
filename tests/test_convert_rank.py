"""Training of the score that sifts passages: it learns, repeats, goes on where it stopped, refuses bad
files.
"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import Engine
from engine.convert import rank
from engine.convert.__main__ import main
from engine.convert.rank import Group, RankSettings, cached_features, measure, read_groups, train
from engine.errors import EngineError
from engine.evidence import prompts_of
from engine.ranking import save_ranking
from engine.sifting import sift
from tests.tiny import CORPUS, tiny_model_dir

QUESTIONS = ("How long is the notice?", "What was the dose?", "What is the mass?", "When does it end?")


def _features(count=80, passages=5, width=16):
    """The right passage's features lie further along a hidden direction; everything else is noise."""
    draw = torch.Generator().manual_seed(0)
    along = torch.randn(2, width, generator=draw)
    features, right = [], []
    for i in range(count):
        some = torch.randn(passages - i % 2, 2, width, generator=draw)
        good = int(torch.randint(len(some), (1,), generator=draw))
        some[good] += 0.5 * along
        features.append(some * 7 + 3)
        right.append([good])
    return features, right


def _groups():
    shown = tuple(("file.txt", text) for text in CORPUS)
    return [Group(question, shown, (i % len(shown),)) for i, question in enumerate(QUESTIONS)]


def _write(path, groups):
    lines = [{"question": g.question, "passages": g.passages, "right": g.right} for g in groups]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def test_the_right_passage_comes_to_promise_most():
    features, right = _features()
    untrained = train(features[:60], right[:60], RankSettings(steps=0))["ranking.directions"]
    assert not untrained.any()
    trained = train(features[:60], right[:60], RankSettings())["ranking.directions"]
    assert measure(features[:60], right[:60], trained)["recall@1"] > 0.95
    unseen = measure(features[60:], right[60:], trained)
    assert unseen["recall@1"] > 0.7
    assert unseen["recall@4"] >= unseen["recall@1"]


def test_eight_questions_of_a_real_model_are_learnt_by_heart(tmp_path):
    engine = Engine.load(tiny_model_dir(tmp_path))
    groups = [*_groups(), *(Group(g.question.upper(), g.passages, g.right) for g in _groups())]
    features = cached_features(engine, groups, tmp_path / "cache", 2)
    trained = train(features, [g.right for g in groups], RankSettings(penalty=1e-4))
    assert measure(features, [g.right for g in groups], trained["ranking.directions"])["recall@1"] == 1.0


def test_it_repeats_and_logs_a_falling_loss(tmp_path):
    first = train(*_features(), RankSettings(), tmp_path / "log.jsonl")
    second = train(*_features(), RankSettings())
    assert all(torch.equal(first[name], second[name]) for name in first)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert len(losses) == RankSettings().steps
    assert losses[-1] < losses[0]


def test_any_of_several_right_passages_will_do():
    features, right = _features()
    both = [[*good, (good[0] + 1) % 4] for good in right]
    trained = train(features, both, RankSettings())["ranking.directions"]
    assert measure(features, both, trained)["recall@1"] > 0.9


def test_features_are_those_that_sifting_goes_by_and_are_read_once(tmp_path, monkeypatch):
    engine, groups = Engine.load(tiny_model_dir(tmp_path, ranking=True)), _groups()
    monkeypatch.setattr(rank, "BLOCK", 2)
    features = cached_features(engine, groups, tmp_path / "cache", 2)
    directions = engine.decoder.weights.ranking.directions
    for some, group in zip(features, groups, strict=True):
        prompts = prompts_of(engine, [[passage] for passage in group.passages], group.question)
        promises = (some * directions).sum(dim=(1, 2))
        for i, found in sift(engine, prompts, 9).items():
            assert float(promises[i]) == pytest.approx(found.promise, rel=0.01, abs=0.05)  # kept as float16
    (tmp_path / "cache" / "000002.safetensors").unlink()
    before = engine.decoder.tokens_seen
    again = cached_features(engine, groups, tmp_path / "cache", 2)
    halves = [
        sum(map(len, (p for g in half for p in prompts_of(engine, [[x] for x in g.passages], g.question))))
        for half in (groups[:2], groups[2:])
    ]
    assert engine.decoder.tokens_seen - before == halves[1], "only what was missing is read"
    assert all(torch.equal(a, b) for a, b in zip(features, again, strict=True))


def test_the_stage_adds_its_tensors_to_an_adapter_that_then_sifts(tmp_path):
    model, out = tiny_model_dir(tmp_path), tmp_path / "adapter.safetensors"
    _write(tmp_path / "groups.jsonl", _groups())
    save_file({"recall.mean": torch.zeros(4), "ranking.old": torch.zeros(1)}, out)
    where = ["--groups", tmp_path / "groups.jsonl", "--work", tmp_path / "work", "--out", out]
    assert main(["rank", "--model", str(model), *map(str, where), "--layer", "1", "--steps", "3"]) == 0
    tensors = load_file(out)
    assert sorted(tensors) == ["ranking.directions", "ranking.layer", "recall.mean"]
    results = json.loads((tmp_path / "work" / "rank-results.json").read_text("utf-8"))
    assert results["questions"] == len(QUESTIONS)
    assert set(results["held_out"]) == {"recall@1", "recall@4"}
    save_ranking(tensors, model)
    engine = Engine.load(model)
    assert engine.decoder.weights.ranking.layer == 1
    assert len(sift(engine, prompts_of(engine, [[p] for p in _groups()[0].passages], QUESTIONS[0]), 1)) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 of groups.jsonl is no group"),
        ('{"question": "Who?"}', "line 2 of groups.jsonl is no group"),
        ('{"question": "Who?", "passages": [["a", "b"]], "right": []}', "line 2 .* names no right passage"),
        ('{"question": "Who?", "passages": [["a", "b"]], "right": [1]}', "line 2 .* names no right passage"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, words):
    path = tmp_path / "groups.jsonl"
    _write(path, _groups()[:1])
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
    with pytest.raises(EngineError, match=words):
        read_groups(path)


def test_no_file_an_empty_one_and_a_layer_that_is_none_are_told(tmp_path, capsys):
    model, path = tiny_model_dir(tmp_path), tmp_path / "groups.jsonl"
    where = ["rank", "--model", str(model), "--groups", str(path)]
    where += ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out.safetensors")]
    assert main(where) == 1
    assert "rank_groups.py" in capsys.readouterr().err
    path.write_text("", "utf-8")
    assert main(where) == 1
    assert "holds no group" in capsys.readouterr().err
    _write(path, _groups())
    assert main([*where, "--layer", "3"]) == 1
    assert "cannot tell after 3 layers" in capsys.readouterr().err
