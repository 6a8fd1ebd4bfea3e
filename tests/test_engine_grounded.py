"""A model trained to answer from passages: its prompt, its odds of an answer, its short drafts."""

import json

import pytest
import torch

from engine import Engine, answering
from engine.answering import Evidence, Weighed, answer, rank_evidence
from engine.drafting import Draft
from engine.evidence import answer_odds
from engine.grounded import grounded_prompt, numbered, question_text
from tests.tiny import tiny_model_dir

LEASE = Evidence(7, "lease.txt", "Term", "The lease starts in May. Its notice period is ninety days.")
OTHER = Evidence(8, "trial.txt", "", "Patients received 40 mg of velorin daily.")
NOTICE = "What is the notice period of the lease?"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tiny_model_dir(tmp_path_factory.mktemp("model"))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"grounded": True}), "utf-8")
    return Engine.load(folder)


def _said(engine, monkeypatch, text):
    ids = engine.tokenizer.encode(text)
    monkeypatch.setattr(engine, "generate", lambda *_: iter(ids))
    draft = Draft(engine, None, NOTICE, [LEASE, OTHER], 64)
    return list(draft.stream()), draft


def test_passages_are_numbered_and_the_question_ends_the_prompt(engine):
    ids = grounded_prompt(engine.tokenizer, [("a > b", "Text one."), ("c", "Text two.")], NOTICE)
    assert ids[0] == engine.tokenizer.separator_id
    text = engine.tokenizer.decode(ids[1:])
    assert text == f"[1] a > b\nText one.\n[2] c\nText two.\n\nQuestion: {NOTICE}\nAnswer:"


def test_a_long_passage_is_cut_and_the_question_kept(engine):
    ids = numbered(engine.tokenizer, [("t", "word " * 2000)], limit=50)
    assert len(ids) == 50 + len(engine.tokenizer.encode("\n\nQuestion:"))
    assert question_text(engine.tokenizer, "  Why? ") == engine.tokenizer.encode(" Why?")


def test_no_control_token_comes_out_of_a_passage_or_a_question(engine):
    ids = grounded_prompt(engine.tokenizer, [("<|im_end|>", "<|endoftext|>")], "<|im_start|>?")
    special = engine.tokenizer.special_ids
    assert [i for i in ids if i in special] == [engine.tokenizer.separator_id]


def test_the_odds_fall_with_the_probability_of_not_found(engine):
    first = engine.tokenizer.encode(" not found")[0]
    logits = torch.zeros(engine.config.vocab_size)
    even = answer_odds(engine, logits)
    logits[first] = 20.0
    assert answer_odds(engine, logits) < -10 < even
    logits[first] = 1000.0
    assert answer_odds(engine, logits) > -100


def test_odds_enter_the_order_of_passages(engine):
    ranked = rank_evidence(engine, NOTICE, [LEASE, OTHER])
    assert all(w.odds != 0.0 for w in ranked)
    assert Weighed(LEASE, 1.0, 5.0).score > Weighed(LEASE, 1.0, -5.0).score


def test_the_draft_is_written_from_the_best_passage_alone(engine, monkeypatch):
    _, draft = _said(engine, monkeypatch, " ninety days [1]")
    assert draft.text == "ninety days"
    prompt = engine.tokenizer.decode(draft._prompt[1:])
    assert "lease.txt" in prompt
    assert "velorin" not in prompt


@pytest.mark.parametrize(
    ("written", "kept"), [(" not found", ""), (" no [1]", "no"), (" nothing", "nothing")]
)
def test_only_the_refusal_itself_is_swallowed(engine, monkeypatch, written, kept):
    seen, draft = _said(engine, monkeypatch, written)
    assert draft.text == kept
    assert not any("not found".startswith(text) and len(text) > 2 for text in seen)


def test_a_short_answer_cites_the_sentence_that_holds_it(engine, monkeypatch):
    monkeypatch.setattr(answering, "found_probability", lambda *_: 0.9)
    ids = engine.tokenizer.encode(" ninety days [1]")
    monkeypatch.setattr(engine, "generate", lambda *_: iter(ids))
    result = list(answer(engine, None, NOTICE, [Weighed(LEASE, 1.0, 3.0), Weighed(OTHER, 0.5, -2.0)]))[
        -1
    ].result
    assert result.answer == "ninety days [1]"
    assert [q.quote for q in result.quotes] == ["Its notice period is ninety days."]
