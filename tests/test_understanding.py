"""Follow-up questions completed by rules: what a person sees as "understood as"."""

from __future__ import annotations

import pytest

from app.understanding import topic, understand

LEASE = "What is the notice period for terminating the lease of 12 Harbour Street?"
MUON = "What is the measured mean lifetime of the muon?"
TENANT = "Who is the tenant of 12 Harbour Street?"


@pytest.mark.parametrize(
    ("question", "before", "understood"),
    [
        ("and its term?", LEASE, "What is the term of the lease of 12 Harbour Street?"),
        ("And the deposit?", LEASE, "What is the deposit of the lease of 12 Harbour Street?"),
        ("What about the rent", LEASE, "What is the rent of the lease of 12 Harbour Street?"),
        ("What is its rent?", LEASE, "What is the rent of the lease of 12 Harbour Street?"),
        ("When does it end?", LEASE, "When does the lease of 12 Harbour Street end?"),
        ("How was it measured?", MUON, "How was the muon measured?"),
    ],
)
def test_pronouns_and_fragments_take_the_topic_of_the_question_before(
    question: str, before: str, understood: str
) -> None:
    assert understand(question, before) == understood


def test_a_new_name_takes_the_place_of_the_old_one() -> None:
    wanted = "What is the notice period for terminating the lease of 21 Harbour Street?"
    assert understand("And for 21 Harbour Street?", LEASE) == wanted
    assert understand("what about the lease of 21 Harbour Street?", LEASE) == wanted


def test_he_and_she_stand_for_the_person_in_the_answer() -> None:
    said = understand("Where does she live?", TENANT, "The tenant is Marta Ferrant [1].")
    assert said == "Where does Marta Ferrant live?"


def test_a_bare_why_asks_it_of_the_whole_question() -> None:
    assert understand("Why?", LEASE) == f"Why: {LEASE}"


def test_a_question_with_names_of_its_own_stays_as_it_is() -> None:
    assert understand("Who wrote the CARDELIN protocol?", LEASE) == "Who wrote the CARDELIN protocol?"


def test_a_whole_question_without_names_gets_the_topic_behind_it() -> None:
    assert (
        understand("Who is the landlord?", LEASE) == "Who is the landlord (the lease of 12 Harbour Street)?"
    )


@pytest.mark.parametrize(
    ("question", "before"),
    [
        ("那么租金呢？", "租约的通知期是多久？"),
        ("Und die Miete?", "Kündigungsfrist nennen"),
        ("?", LEASE),
        ("...", ""),
    ],
)
def test_no_question_is_lost_in_another_language_or_without_words(question: str, before: str) -> None:
    said = understand(question, before)
    assert said.startswith(question)


def test_the_topic_is_the_phrase_around_the_names_else_the_last_noun_phrase() -> None:
    assert topic(LEASE) == "the lease of 12 Harbour Street"
    assert topic("What is the critical temperature of the niobium film?") == "the niobium film"
