"""Questions in threads and of some documents only: what is stored, what is searched, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from app_home import by_name
from asking_home import QUESTION, answer_with, archive, finding_of, services

from app import answering, library
from app.asking import ask
from app.errors import UserError
from app.questions import again, submit
from app.recalling import find_candidates
from app.request import Request, meant, request_of
from app.scope import find_scope, folders
from app.services import Services
from storage import Archive, NotFoundError, documents, findings, recognised, tags

__all__ = ["archive", "services"]  # fixtures


def test_a_follow_up_is_answered_as_it_is_understood(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, "Six months. [1]")
    first = ask(services, archive, QUESTION)
    seen: list[tuple[str, Sequence[int]]] = []

    def searching(*given: Any) -> Any:
        seen.append((given[3], given[5]))
        return find_candidates(*given)

    monkeypatch.setattr(answering, "find_candidates", searching)
    parent = first["asked"]["finding"]
    second = ask(services, archive, Request("and its term?", follows=parent))
    understood = "What is the term of the lease of 12 Harbour Street?"
    assert second["question"] == "and its term?"
    assert (second["asked"]["understood"], second["asked"]["follows"]) == (understood, parent)
    cited = {item["document"] for item in first["citations"]}
    assert seen == [(understood, [by_name(services, archive)[name].id for name in cited])]


def test_a_follow_up_of_a_follow_up_keeps_the_topic(services: Services, archive: Archive) -> None:
    first = submit(services, archive, QUESTION).finding
    second = submit(services, archive, Request("and its term?", follows=first.id)).finding
    third = submit(services, archive, Request("When does it end?", follows=second.id)).finding
    assert meant(third) == "When does the lease of 12 Harbour Street end?"
    with services.database.session() as s:
        assert [item.id for item in findings.thread_of(s, third)] == [first.id, second.id]
        assert [item.id for item in findings.follow_ups(s, first.id)] == [second.id]


def test_words_of_the_persons_own_stand_as_they_are(services: Services, archive: Archive) -> None:
    first = submit(services, archive, QUESTION).finding
    own = Request("and its term?", follows=first.id, understood="How long does the lease run?")
    assert meant(submit(services, archive, own).finding) == "How long does the lease run?"


def test_documents_of_the_answer_above_are_preferred(services: Services, archive: Archive) -> None:
    context = services.contexts.get(services, archive.id)
    lab = by_name(services, archive)["lab.txt"].id
    question = "lease of Harbour Street and the clamp"
    plain = find_candidates(services, context, archive.id, question, None)
    preferred = find_candidates(services, context, archive.id, question, None, [lab])
    assert plain[0].document == "lease.txt"
    assert preferred[0].document == "lab.txt"


def test_a_thread_ends_at_a_finding_that_was_deleted(services: Services, archive: Archive) -> None:
    first = submit(services, archive, QUESTION).finding
    second = submit(services, archive, Request("and its term?", follows=first.id)).finding
    with services.database.session() as s:
        findings.delete_finding(s, first.id)
        assert findings.thread_of(s, second) == []
        assert again(s, second).follows is None


def test_nothing_follows_what_is_not_there_or_elsewhere(services: Services, archive: Archive) -> None:
    with pytest.raises(NotFoundError, match="no finding 99"):
        submit(services, archive, Request("and then?", follows=99))
    other = library.create_archive(services, "Other")
    there = submit(services, archive, QUESTION).finding
    with pytest.raises(UserError, match="another archive"):
        submit(services, other, Request("and then?", follows=there.id))


def test_asking_again_keeps_both_with_the_same_request(services: Services, archive: Archive) -> None:
    asked = Request(QUESTION, documents=("lab.txt",), tags=(), fields=())
    first = submit(services, archive, asked).finding
    with services.database.session() as s:
        request = again(s, first)
    second = submit(services, archive, request).finding
    assert second.id != first.id
    assert request_of(finding_of(services, second.id)).again == first.id
    assert second.documents == first.documents == ["lab.txt"]


def sort(services: Services, archive: Archive) -> None:
    """The lease comes from a folder, two documents have a tag."""
    rows = by_name(services, archive)
    with services.database.session() as s:
        documents.get_document(s, rows["lease.txt"].id).name = "law/lease.txt"
        tags.tag_documents(s, archive.id, [rows["lab.txt"].id, rows["long.txt"].id], ["Physics"])


def test_documents_are_chosen_by_tag_and_by_field(services: Services, archive: Archive) -> None:
    sort(services, archive)

    def names(**chosen: tuple[str, ...]) -> list[str]:
        with services.database.session() as s:
            return [row.name for row in find_scope(s, archive.id, Request("x", **chosen)) or []]

    assert names(tags=("physics",)) == ["lab.txt", "long.txt"]
    assert names(fields=("law",)) == ["law/lease.txt"]
    assert names(tags=("Physics",), documents=("lab.txt",)) == ["lab.txt"]
    assert names() == []
    assert folders("a/b/c.txt") == ("a", "b")
    answer = ask(services, archive, Request(QUESTION, tags=("Physics",)))
    assert answer["asked"]["documents"] == ["lab.txt", "long.txt"]
    assert answer["asked"]["tags"] == ["Physics"]


@pytest.mark.parametrize(
    ("chosen", "code", "says"),
    [
        ({"tags": ("phisics",)}, "unknown_tag", "Did you mean 'Physics'"),
        ({"fields": ("medicine",)}, "unknown_field", "There are: law"),
        ({"tags": ("Physics",), "fields": ("law",)}, "empty_selection", "fewer restrictions"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused_with_a_remedy(
    services: Services, archive: Archive, chosen: dict[str, tuple[str, ...]], code: str, says: str
) -> None:
    sort(services, archive)
    with pytest.raises(UserError) as refused:
        submit(services, archive, Request(QUESTION, **chosen))
    assert refused.value.code == code
    assert says in refused.value.hint
    with services.database.session() as s:
        assert findings.list_findings(s, archive.id) == []


def test_a_citation_of_recognised_text_says_so(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, "Six months. [1]")
    rows = by_name(services, archive)
    with services.database.session() as s:
        for row in rows.values():
            recognised.note(s, row.id, {1: 0.87})
    cited = ask(services, archive, QUESTION)["citations"][0]
    assert (cited["recognised"], cited["recognised_confidence"]) == (True, 0.87)
