"""Likeness of passages to a question, token by token, without running a layer."""

import pytest
import torch

from engine import Engine
from engine.likeness import likeness
from tests.tiny import tiny_model_dir

QUESTION = "The dose was 5 mg twice a day"
TEXTS = (
    "The dose was 5 mg twice a day for 12 weeks.",
    "The dose of the contract",
    "Either party may terminate this agreement",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine.load(tiny_model_dir(tmp_path_factory.mktemp("model")))


def test_a_text_that_holds_every_token_is_alike_and_others_less_so(engine):
    whole, part, other = likeness(engine, QUESTION, ["So: " + TEXTS[0], *TEXTS[1:]])
    assert whole == pytest.approx(1.0, abs=1e-5)
    assert 1 > part > other


def test_it_is_the_mean_of_the_nearest_tokens_cosines_as_the_recall_head_weighs_them(engine):
    tokenizer, table = engine.tokenizer, engine.decoder.embed
    read = [tokenizer.encode(text) for text in TEXTS]
    distinct = sorted({i for ids in read for i in ids})
    middle = table(torch.tensor(distinct)).mean(dim=0)
    asked = tokenizer.encode(f" {QUESTION}")
    weights = engine.decoder.weights.recall.weigh(torch.tensor(asked), tokenizer.separator_id)
    for text, found in zip(read, likeness(engine, QUESTION, TEXTS), strict=True):
        best = [
            max(
                float(torch.cosine_similarity(table(torch.tensor([a]))[0] - middle, row - middle, dim=0))
                for row in table(torch.tensor(text))
            )
            for a in asked
        ]
        mean = sum(float(w) * b for w, b in zip(weights, best, strict=True)) / float(weights.sum())
        assert found == pytest.approx(mean, abs=1e-5)


def test_rare_tokens_count_more_where_the_head_says_so(engine, monkeypatch):
    weights = torch.ones(engine.config.vocab_size)
    for token in engine.tokenizer.encode(f" {QUESTION}")[1:]:
        weights[token] = 1e-6
    recall = engine.decoder.weights.recall
    monkeypatch.setattr(type(recall), "weigh", lambda self, ids, separator: weights[ids])
    first = likeness(engine, QUESTION, [" The", " mg"])
    assert first[0] == pytest.approx(1.0, abs=1e-3) != pytest.approx(first[1], abs=1e-3)


def test_nothing_is_like_nothing(engine):
    assert likeness(engine, QUESTION, []) == []
    assert likeness(engine, QUESTION, ["", ""]) == [0.0, 0.0]
    assert likeness(engine, QUESTION, ["", TEXTS[0]])[0] == 0.0


def test_no_layer_is_run(engine):
    before = engine.decoder.tokens_seen
    likeness(engine, QUESTION, TEXTS)
    assert engine.decoder.tokens_seen == before
