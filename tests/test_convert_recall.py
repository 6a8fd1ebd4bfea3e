"""Training of the recall head: it learns, repeats with its seed, and its sign passes gradients."""

import json
import lzma

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import Engine
from engine.convert import recall
from engine.convert.__main__ import main
from engine.convert.data import DISTRACTORS, read_distractors
from engine.convert.features import passage_features, question_features, token_salience
from engine.convert.recall import RecallSettings, contrast, distractors, mine, straight_sign, train
from engine.passages import sign_codes
from tests.tiny import SETTINGS as SIZES
from tests.tiny import tiny_model_dir

SETTINGS = RecallSettings(bits=64, batch=32, epochs=80)


def _features(count: int = 64, width: int = 48) -> dict[str, torch.Tensor]:
    """Questions are their passages seen through another linear map, with noise."""
    draw = torch.Generator().manual_seed(0)
    passages = torch.randn(count, width, generator=draw) * 3 + 1
    turn = torch.randn(width, width, generator=draw) / width**0.5
    questions = passages @ turn + 0.1 * torch.randn(count, width, generator=draw)
    return {
        "passages": passages,
        "questions": questions,
        "gold": torch.arange(count),
        "salience": torch.ones(9),
    }


def _recall_at_1(adapter: dict[str, torch.Tensor], features: dict[str, torch.Tensor]) -> float:
    keys = ((features["passages"] - adapter["recall.mean"]) @ adapter["recall.projection"].T).sign()
    queries = (features["questions"] - adapter["recall.query_mean"]) @ adapter["recall.query_projection"].T
    return float(((queries.sign() @ keys.T).argmax(dim=1) == features["gold"]).float().mean())


def test_training_makes_hamming_distance_rank_the_right_passage_first():
    features = _features()
    untrained = train(features, RecallSettings(bits=64, batch=32, epochs=0))
    assert _recall_at_1(untrained, features) < 0.3
    assert _recall_at_1(train(features, SETTINGS), features) > 0.9


def test_the_same_seed_gives_the_same_head_and_the_log_has_a_line_an_epoch(tmp_path):
    log = tmp_path / "log.jsonl"
    first, second = train(_features(), SETTINGS, log), train(_features(), SETTINGS)
    assert all(torch.equal(first[name], second[name]) for name in first)
    losses = [json.loads(line)["loss"] for line in log.read_text("utf-8").splitlines()]
    assert len(losses) == SETTINGS.epochs
    assert losses[-1] < losses[0]


def test_the_nearest_wrong_passages_are_mined():
    keys = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, -1], [-1, -1, -1, -1], [1, 1, -1, -1]])
    near = mine(keys[[0, 2]], keys, torch.tensor([0, 2]), 2)
    assert near.tolist() == [[1, 3], [3, 1]]
    assert mine(keys[:1], keys, torch.tensor([0]), 9).shape == (1, 3)


def test_distractors_of_a_passage_are_what_its_questions_find_instead():
    features = _features(8) | {"gold": torch.tensor([0, 0, 2, 3, 4, 5, 6, 7])}
    adapter = train(features, RecallSettings(bits=64, batch=4, epochs=20))
    cids = [f"c{i}" for i in range(8)]
    found = distractors(features, adapter, cids, 2)
    assert set(found) == set(cids) - {"c1"}
    assert all(cid not in others and len(set(others)) == len(others) for cid, others in found.items())
    assert 2 <= len(found["c0"]) <= 4
    assert len(found["c5"]) == 2


def test_a_mined_passage_counts_against_its_question_unless_it_is_the_right_one():
    keys, settings = torch.eye(4).repeat_interleave(16, 1), RecallSettings(bits=64, temperature=1.0)
    alone = contrast(keys[:2], keys[:2], torch.tensor([0, 1]), settings)
    wrong = contrast(keys[:2], keys[[0, 1, 2]], torch.tensor([0, 1, 2]), settings)
    again = contrast(keys[:2], keys[[0, 1, 0]], torch.tensor([0, 1, 0]), settings)
    assert wrong > alone
    assert again < wrong


def test_the_sign_is_hard_forward_and_soft_backward():
    x = torch.tensor([[0.5, -2.0, 0.0]], requires_grad=True)
    y = straight_sign(x)
    assert y.tolist() == [[1.0, -1.0, -1.0]]
    y.sum().backward()
    assert (x.grad > 0).all()


def test_two_questions_of_one_passage_are_not_each_others_negatives():
    keys = torch.eye(4).repeat_interleave(16, 1)
    settings = RecallSettings(bits=64)
    twins = contrast(keys[[0, 0, 1]], keys[[0, 0, 1]], torch.tensor([0, 0, 1]), settings)
    apart = contrast(keys[[0, 0, 1]], keys[[0, 0, 1]], torch.tensor([0, 2, 1]), settings)
    assert twins < apart


def _pack(path, rows):
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_the_stage_runs_end_to_end_and_its_head_is_what_the_engine_loads(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    texts = [f"The lease number {i} ends after {i} years." for i in range(12)]
    _pack(data / "contexts.jsonl.xz", [{"cid": f"c{i}", "text": t} for i, t in enumerate(texts)])
    asked = [
        {"cid": f"c{i}", "question": f"When ends lease {i}?", "answers": ["x"], "spec": 2} for i in range(12)
    ]
    _pack(data / "qa_train.jsonl.xz", asked)
    rows = [{"rec": "passage", "cid": f"c{i}", "text": t} for i, t in enumerate(texts)]
    _pack(data / "eval_tiny.jsonl.xz", rows + [row | {"rec": "question"} for row in asked])
    monkeypatch.setattr(recall, "EVAL_SETS", ("tiny",))
    model, out = tiny_model_dir(tmp_path), tmp_path / "adapter.safetensors"
    command = ["recall", "--model", str(model), "--data", str(data), "--work", str(tmp_path / "w")]
    assert main([*command, "--out", str(out), "--passages", "12", "--epochs", "1"]) == 0
    assert out.is_file()
    results = json.loads((tmp_path / "w" / "recall-results.json").read_text("utf-8"))
    assert results["results"]["tiny"]["questions"] == 12
    near = read_distractors(tmp_path / "w" / DISTRACTORS)
    assert set(near) == {f"c{i}" for i in range(12)}
    assert all(len(others) == 4 for others in near.values())


def test_missing_data_is_one_clear_line(tmp_path, capsys):
    model = tiny_model_dir(tmp_path)
    command = ["recall", "--model", str(model), "--data", str(tmp_path), "--work", str(tmp_path / "w")]
    assert main([*command, "--out", str(tmp_path / "a.safetensors")]) == 1
    assert "qa_train.jsonl.xz" in capsys.readouterr().err


def _engine(tmp_path, weighted):
    """The tiny model, with tokens of unequal salience or all the same."""
    folder = tiny_model_dir(tmp_path)
    if weighted:
        path = folder / "model.safetensors"
        salience = torch.rand(SIZES["vocab_size"], generator=torch.Generator().manual_seed(0))
        save_file(load_file(path) | {"recall.salience": salience}, path)
    engine = Engine.load(folder)
    assert (engine.decoder.weights.recall.salience is None) != weighted
    return engine


def test_rare_tokens_count_more(tmp_path):
    engine = Engine.load(tiny_model_dir(tmp_path))
    size = engine.config.vocab_size
    salience = token_salience(engine.tokenizer, ["aaaa bbb"], size)
    often = engine.tokenizer.encode("aaaa bbb")
    assert salience.shape == (size,)
    assert 0 < salience[often].max() < salience[sorted({*range(size)} - {*often})].min() < 1


@pytest.mark.parametrize("weighted", [False, True])
def test_stream_features_equal_the_codes_the_reader_makes(tmp_path, weighted):
    """What training pools is what reading pools."""
    engine = _engine(tmp_path, weighted)
    texts = ["The contract ends in May.", "The dose was 5 mg.", "The mass was 125 GeV."]
    head = engine.decoder.weights.recall
    pooled = passage_features(engine, texts, [2], head.salience)[:, 0]
    ids, ends = [], []
    for text in texts:
        ids += [engine.tokenizer.separator_id, *engine.tokenizer.encode(text)]
        ends.append(len(ids))
    read = [code for p in engine.read(ids, engine.new_state(), ends) for _, code in p.codes]
    assert read == sign_codes(pooled, head.mean, head.projection)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("question", ["What was the dose?", "?", ""])
def test_question_features_are_what_the_engine_codes(tmp_path, question, weighted):
    engine = _engine(tmp_path, weighted)
    head = engine.decoder.weights.recall
    if question:
        pooled = question_features(engine, [question], [2], head.salience)[:, 0]
        assert [engine.encode_query(question)] == sign_codes(pooled, head.query_mean, head.query_projection)
    else:
        assert len(engine.encode_query(question)) == 64
