"""Likelihoods behind a state and a lead-in: those of one long reading, and nothing changes by asking."""

from __future__ import annotations

import pytest
import torch
from app_home import tiny_engine

from engine import Engine
from engine.salience import SENTENCE_TOKENS, Behind

READ, LEAD, TEXT = list(range(10, 90)), [120, 121, 122], [201, 202, 203, 204, 205]


@pytest.fixture
def engine() -> Engine:
    return tiny_engine()


def test_a_likelihood_is_that_of_one_reading(engine: Engine) -> None:
    state = engine.new_state()
    list(engine.read(READ, state))
    whole = [*READ, engine.tokenizer.separator_id, *LEAD, *TEXT]
    expected = torch.log_softmax(engine.logits(whole), dim=-1)[len(whole) - len(TEXT) - 1 : -1]
    mean = float(expected.gather(1, torch.tensor(TEXT)[:, None]).mean())
    assert Behind(engine, state, LEAD).likelihood(TEXT) == pytest.approx(mean, abs=2e-2)


def test_the_state_is_left_as_it_was(engine: Engine) -> None:
    state = engine.new_state()
    list(engine.read(READ, state))
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    Behind(engine, state, LEAD).likelihood(TEXT)
    assert state.tokens_read == len(READ)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.tensors().items())


def test_one_text_does_not_move_the_next(engine: Engine) -> None:
    behind = Behind(engine, None, LEAD)
    first = behind.likelihood(TEXT)
    behind.likelihood(READ)
    assert behind.likelihood(TEXT) == first


def test_what_was_read_counts(engine: Engine) -> None:
    state = engine.new_state()
    list(engine.read(READ, state))
    assert Behind(engine, state).likelihood(TEXT) != Behind(engine).likelihood(TEXT)


def test_a_long_text_is_weighed_by_its_beginning(engine: Engine) -> None:
    behind, long = Behind(engine), [7 + i % 400 for i in range(3 * SENTENCE_TOKENS)]
    assert behind.likelihood(long) == behind.likelihood(long[:SENTENCE_TOKENS])
