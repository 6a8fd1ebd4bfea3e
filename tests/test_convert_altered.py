"""Questions changed so that their passage no longer answers them, and that training refuses them."""

import random

import pytest

from engine.convert.altered import OPPOSITES, alter
from engine.convert.data import Passage, Question
from engine.convert.examples import GroupSettings
from engine.convert.group_source import GroupSource
from engine.sentences import content_terms
from engine.tokenizer import Tokenizer
from tests.tiny import tiny_model_dir

TEXT = (
    "The treaty was signed in 1648 by Count Trautmansdorff. It ended the largest war of the century. "
    "A smaller peace had been made in 1635 with the elector of Saxony, who kept the ports."
)
SAID = TEXT.split(". ")[0]
OTHER = "In 1701 a truce was signed by General Marlborough, who left the farms."


def _all(question, answer, text=TEXT, other=""):
    """Everything that a hundred draws make of a question."""
    return {alter(question, answer, text, other, random.Random(i)) for i in range(100)}


def test_a_number_is_exchanged_for_one_written_alike():
    assert _all("Who was there in 1648?", "Count Trautmansdorff") == {"Who was there in 1635?"}


def test_a_name_is_exchanged_for_one_of_the_text_or_of_the_other():
    assert _all("What did Count Trautmansdorff put his hand to?", "treaty") == {
        "What did Saxony put his hand to?"
    }
    found = _all("What did Count Trautmansdorff put his hand to?", "treaty", other=OTHER)
    assert "What did General Marlborough put his hand to?" in found


def test_a_word_becomes_its_opposite_unless_the_text_speaks_of_that():
    assert "What was the smallest war?" in _all("What was the largest war?", "It ended the largest war")
    assert _all("Who made the first one?", "elector", "The elector made the first one, not the last.") == {
        None
    }


def test_a_thing_is_exchanged_for_one_of_the_same_ending():
    text = "The harbour sold its ships. Later it bought farms from them."
    assert _all("Who sold the ships?", "The harbour", text) == {"Who sold the farms?"}


def test_what_comes_in_never_stands_in_the_sentence_of_the_answer_nor_in_the_question():
    question, answer = "Which treaty was signed in 1648 by Count Trautmansdorff?", "The treaty"
    before = content_terms(question)
    for changed in _all(question, answer, other=OTHER) - {None}:
        new = set(content_terms(changed)) - set(before)
        assert new
        assert new.isdisjoint(content_terms(SAID))
        assert new <= set(content_terms(f"{TEXT} {OTHER}")) | set(OPPOSITES.values())


@pytest.mark.parametrize(
    ("question", "answer"),
    [("What is it?", "treaty"), ("Who was there in 1648?", "nobody"), ("", "treaty"), ("???", "")],
)
def test_what_cannot_be_changed_safely_is_left_out(question, answer):
    assert _all(question, answer) == {None}


def test_the_same_draw_gives_the_same_question():
    asked = ("Which treaty was signed in 1648 by Count Trautmansdorff?", "The treaty", TEXT, OTHER)
    assert alter(*asked, random.Random(5)) == alter(*asked, random.Random(5))


@pytest.mark.parametrize(("kind", "altered"), [("human", 1.0), ("human", 0.0), ("lead", 1.0)])
def test_groups_refuse_altered_questions_beside_those_asked(tmp_path, kind, altered):
    tokenizer = Tokenizer.load(tiny_model_dir(tmp_path / "model"))
    held = {"a": Passage("a", "Treaty", "history", TEXT)}
    asked = [Question("a", "s", kind, "Who was there in 1648?", ("Count Trautmansdorff",), 0, 2)]
    settings = GroupSettings(altered=altered, least=1, earlier=0.0)
    group = next(iter(GroupSource(tokenizer, held, asked, settings, 0)))
    text = tokenizer.decode(group.ids.tolist())
    assert "Who was there in 1648?\nAnswer: Count Trautmansdorff [1]" in text
    refused = "Who was there in 1635?\nAnswer: not found" in text
    assert refused == (kind == "human" and altered == 1.0)
