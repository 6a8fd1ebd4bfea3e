"""Questions of a matrix: templates of three fields, lines, JSON, JSONL; mistakes named."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import matrix
from app.errors import UserError
from app.templates import templates
from storage import QuestionData

WANTED = {
    "contracts": ["Parties", "Governing law", "Term", "Termination notice", "Liability cap"],
    "clinical": ["Population", "Intervention", "Dose", "Endpoint", "Result", "Adverse events"],
    "physics": ["Experiment", "Energy", "Luminosity", "Observable", "Measured value"],
}


def test_the_templates_of_the_three_fields_ask_what_they_promise() -> None:
    found = {name: [item.label for item in template.questions] for name, template in templates().items()}
    assert found == WANTED
    for template in templates().values():
        assert all(item.question.endswith("?") and item.terms for item in template.questions)


def test_lines_keep_the_other_words_of_a_template() -> None:
    lines = matrix.as_lines(templates()["contracts"].questions)
    assert matrix.parse_lines(lines) == list(templates()["contracts"].questions)


def test_a_label_may_stand_before_a_question() -> None:
    assert matrix.parse_lines("Rent | What is the rent?\n\n  Why?  \n | \n") == [
        QuestionData("What is the rent?", "Rent"),
        QuestionData("Why?"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.txt", "What is the rent?\nRent | Who pays?\n"),
        ("q.json", '["What is the rent?", {"question": "Who pays?", "label": "Rent"}]'),
        (
            "q.jsonl",
            '{"id": 1, "question": "What is the rent?"}\n\n{"question": "Who pays?", "label": "Rent"}\n',
        ),
    ],
)
def test_questions_are_read_from_every_form_of_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert matrix.read_questions(tmp_path / name) == [
        QuestionData("What is the rent?"),
        QuestionData("Who pays?", "Rent"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.txt", b"\n \n", "holds no question"),
        ("q.json", b"{", "not valid JSON"),
        ("q.json", b"[1]", "Item 1 is no question"),
        ("q.jsonl", b'{"ask": "x"}', "Item 1 is no question"),
        ("q.txt", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_bad_file_is_refused_in_words(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says):
        matrix.read_questions(tmp_path / name)


def test_an_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(UserError) as refused:
        matrix.template_questions("poetry")
    assert "contracts, clinical, physics" in refused.value.hint
