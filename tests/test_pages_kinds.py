"""The Ask page beyond one answer: threads, everything about, comparisons, summaries, in every state."""

from __future__ import annotations

import pytest
from page_driver import html_of, labels, notices, open_page, press, words_of
from page_seeds import LEASE, QUOTE, Seeds
from streamlit.testing.v1 import AppTest

from app.request import COMPARISON, EVERYTHING, SUMMARY, Request, request_of
from app.view.copying import copied
from storage import Archive, Finding, FoundData, findings, found, jobs, passages, recognised, tags


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


def take(page: AppTest, kind: str) -> AppTest:
    """Choose a kind of question."""
    return page.get("button_group")[0].set_value(kind).run()


def newest(seeds: Seeds) -> Finding:
    with seeds.database.session() as s:
        return findings.list_findings(s)[0]


def make(
    seeds: Seeds, archive: Archive, request: Request, status: str = "running", **fields: object
) -> Finding:
    """A finding of this kind as a worker would leave it."""
    with seeds.database.session() as s:
        job = jobs.enqueue(s, "ask", archive.id, {}, 10)
        finding = findings.create_finding(
            s, archive.id, job.id, request.question, request.documents, request.follows, request.details()
        )
        details = {**request.details(), **fields.pop("details", {})}  # type: ignore[dict-item]
        findings.update_finding(s, finding.id, status=status, details=details, **fields)
        return findings.get_finding(s, finding.id)


def test_a_follow_up_is_asked_under_the_answer(seeds: Seeds) -> None:
    archive = seeds.archive()
    parent = seeds.finding(archive, question="What is the notice period of the lease of 12 Harbour Street?")
    page = open_page("ask", finding=parent.id)
    box = next(box for box in page.chat_input if box.placeholder.startswith("Ask a follow-up"))
    box.set_value("and its term?").run()
    assert not page.exception
    child = newest(seeds)
    assert (child.question, child.parent_id) == ("and its term?", parent.id)
    said = words_of(page)
    assert "Understood as: “What is the term of the lease of 12 Harbour Street?”" in said
    assert "Thread" in said
    assert parent.answer in said


def test_what_was_understood_can_be_changed_and_both_are_kept(seeds: Seeds) -> None:
    archive = seeds.archive()
    parent = seeds.finding(archive)
    request = Request("and its term?", follows=parent.id, understood="What is the term of it?")
    child = make(seeds, archive, request, "not_found")
    page = open_page("ask", finding=child.id)
    page.text_area(key=f"full_{child.id}").set_value("How long does the lease run?")
    press(page, "Ask this instead")
    again = newest(seeds)
    assert (again.parent_id, request_of(again).understood) == (parent.id, "How long does the lease run?")
    with seeds.database.session() as s:
        assert len(findings.follow_ups(s, parent.id)) == 2


def test_a_thread_leads_back_and_forth(seeds: Seeds) -> None:
    archive = seeds.archive()
    parent = seeds.finding(archive, question="What is the rent?")
    make(seeds, archive, Request("and the deposit?", follows=parent.id), "not_found")
    page = open_page("ask", finding=parent.id)
    assert "Asked under this answer" in words_of(page)
    press(page, "and the deposit?")
    assert "What is the rent?" in [label.replace("\\", "") for label in labels(page)]


def test_asking_again_keeps_both_answers(seeds: Seeds) -> None:
    archive = seeds.archive()
    first = seeds.finding(archive)
    press(open_page("ask", finding=first.id), "Ask again")
    second = newest(seeds)
    assert (second.question, request_of(second).again) == (first.question, first.id)
    with seeds.database.session() as s:
        assert findings.get_finding(s, first.id).status == "supported"


def test_a_new_question_clears_the_page(seeds: Seeds) -> None:
    archive = seeds.archive()
    page = press(open_page("ask", finding=seeds.finding(archive).id), "New question")
    assert "finding" not in page.query_params
    assert "six months" not in words_of(page)


def test_a_copied_answer_holds_its_citations(seeds: Seeds) -> None:
    finding = seeds.finding(seeds.archive())
    seeds.cite(finding, None, "Six\n months.", verified=False)
    said = copied(finding)
    assert said.startswith("What is the notice period?\n\nThe notice period is six months [1].")
    assert said.endswith("[1] removed.txt, page 1 (not verified): “Six months.”\n")


def test_documents_can_be_chosen_by_tag_and_by_field(seeds: Seeds) -> None:
    archive = seeds.archive()
    lease = seeds.lease(archive)
    seeds.text(archive, "physics/other.txt", "Other.\n")
    with seeds.database.session() as s:
        tags.tag_documents(s, archive.id, [lease.id], ["Rent"])
    page = open_page("ask")
    chosen = {box.label: box for box in page.multiselect}
    assert chosen["Tags"].options == ["Rent"]
    assert chosen["Fields"].options == ["legal", "physics"]
    chosen["Tags"].set_value(["Rent"]).run()
    page.chat_input[0].set_value("What is the rent?").run()
    assert newest(seeds).documents == [lease.name]
    assert "tagged Rent" in words_of(page)


def test_a_choice_that_leaves_no_document_is_told_in_words(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    other = seeds.text(archive, "physics/other.txt", "Other.\n")
    with seeds.database.session() as s:
        tags.tag_documents(s, archive.id, [other.id], ["Rent"])
    page = open_page("ask")
    chosen = {box.label: box for box in page.multiselect}
    chosen["Tags"].set_value(["Rent"])
    chosen["Fields"].set_value(["legal"]).run()
    page.chat_input[0].set_value("What is the rent?").run()
    assert "No document fits everything that was chosen" in notices(page)


def test_everything_about_is_asked_for_by_name(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    page = take(open_page("ask"), EVERYTHING)
    page.chat_input[0].set_value("notice").run()
    assert not page.exception
    assert request_of(newest(seeds)).kind == EVERYTHING


FIGURES = {
    "passages": 45, "documents": 2, "words": ["notice"], "every_word": 45, "some_words": 0, "code_only": 0,
    "quoted": 1, "threshold": 198, "middle": 239.0, "spread": 13.3, "bits": 512,
}  # fmt: skip


def found_list(seeds: Seeds) -> Finding:
    """A list of 45 passages, of one document as often as it has passages."""
    archive = seeds.archive()
    document = seeds.lease(archive)
    finding = make(
        seeds, archive, Request("notice", EVERYTHING), "supported", answer="45", details={"found": FIGURES}
    )
    seeds.cite(finding, document, QUOTE)
    with seeds.database.session() as s:
        (passage,) = passages.list_passages(s, document.id)
        found.set_found(s, finding.id, [FoundData(passage.id, 1, 1.0, 184)] * 45)
    return finding


def test_everything_found_is_shown_page_by_page_with_its_reasons(seeds: Seeds) -> None:
    page = open_page("ask", finding=found_list(seeds).id)
    assert not page.exception
    said = words_of(page)
    assert "every word · near in meaning, 184 bits away" in said
    assert "<mark>notice</mark>" in html_of(page)
    assert "at most 198 of 512 bits" in said
    assert "256 ± 11.3" in said
    assert sum(label.startswith("Show page") for label in labels(page)) == 20
    page.number_input[0].set_value(3).run()
    assert sum(label.startswith("Show page") for label in labels(page)) == 5
    press(page, "Show page 1")
    assert "Close page 1" in labels(page)


def test_a_comparison_of_one_document_is_not_offered(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    page = take(open_page("ask"), COMPARISON)
    assert "takes two documents that have been read" in words_of(page)
    assert not page.chat_input


def test_two_documents_are_asked_the_same(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    seeds.text(archive, "other.txt", "Other.\n")
    page = take(open_page("ask"), COMPARISON)
    page.chat_input[0].set_value("What is the notice period?").run()
    finding = newest(seeds)
    assert request_of(finding).kind == COMPARISON
    assert sorted(finding.documents) == ["legal/lease-12-harbour-street.md", "other.txt"]


def test_a_comparison_stands_side_by_side(seeds: Seeds) -> None:
    archive = seeds.archive()
    lease = seeds.lease(archive)
    other = seeds.text(archive, "<b>other</b>.txt", "The notice period is three months.\n")
    side = {"status": "supported", "confidence": 0.9}
    details = {
        "sides": [
            {"document": lease.name, "answer": "six months [1]", "citations": [1], **side},
            {"document": other.name, "answer": "three months [2]", "citations": [2], **side},
        ],
        "pairs": [{"left": 1, "right": 2, "left_words": ["six"], "right_words": ["three"]}],
        "only": [{"document": lease.name, "citations": [1]}, {"document": other.name, "citations": []}],
    }
    request = Request("What is the notice period?", COMPARISON, (lease.name, other.name))
    finding = make(seeds, archive, request, "supported", answer="both", details=details)
    seeds.cite(finding, lease, QUOTE)
    seeds.cite(finding, other, "The notice period is three months.", number=2)
    page = open_page("ask", finding=finding.id)
    assert not page.exception
    drawn = html_of(page)
    assert "<b>three</b>" in drawn
    assert "<b>other</b>" not in drawn
    assert "Only here" in words_of(page)
    assert words_of(page).count("✓ supported") == 3  # the whole, and each side


def test_a_summary_under_way_shows_how_far_it_is_and_can_be_stopped(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    page = press(take(open_page("ask"), SUMMARY), "Summarise the whole archive")
    finding = newest(seeds)
    assert finding.question == "Summary of Leases"
    with seeds.database.session() as s:
        jobs.claim_job(s, finding.job_id or 0, "tester")
        jobs.beat(s, finding.job_id or 0, done=40, total=100, unit="tokens", message="Going through lease.md")
    page = open_page("ask", finding=finding.id)
    assert "Going through lease.md" in words_of(page)
    assert "40 of 100 tokens" in words_of(page)
    press(page, "Stop")
    with seeds.database.session() as s:
        assert jobs.get_job(s, finding.job_id or 0).cancel_requested


def test_a_summary_says_what_it_is_and_where_each_sentence_stands(seeds: Seeds) -> None:
    archive = seeds.archive()
    lease = seeds.lease(archive)
    part = {"document": lease.name, "document_id": lease.id, "citations": [1]}
    part["headings"] = ["Lease > 5. Termination", "Lease > 6. Repairs"]
    empty = {**part, "document": "rows.csv", "citations": [], "headings": [], "terms": [], "coded": False}
    details = {
        "parts": [{**part, "terms": [["notic", "notice"]], "coded": True}, empty],
        "terms": [{"term": "notice", "documents": 2}],
    }
    request = Request("Summary of Leases", SUMMARY)
    finding = make(seeds, archive, request, "supported", answer=f"{QUOTE} [1]", details=details)
    seeds.cite(finding, lease, QUOTE)
    page = open_page("ask", finding=finding.id)
    assert not page.exception
    said = words_of(page)
    for words in (
        QUOTE,
        "Sections: 5. Termination · 6. Repairs",
        "notice 2",
        "Extractive",
        "No whole sentence to quote",
        "quotes only",
    ):
        assert words in said
    assert "Of 1 document no codes were there" in said


@pytest.mark.parametrize("kind", [EVERYTHING, COMPARISON, SUMMARY])
@pytest.mark.parametrize(
    ("status", "says"), [("failed", "The disk is full"), ("cancelled", "Stopped before")]
)
def test_what_failed_or_was_stopped_is_told(seeds: Seeds, kind: str, status: str, says: str) -> None:
    archive = seeds.archive()
    finding = make(seeds, archive, Request("notice", kind), status, error="The disk is full.")
    page = open_page("ask", finding=finding.id)
    assert not page.exception
    assert says in words_of(page) + notices(page)


def test_many_citations_are_shown_some_at_a_time(seeds: Seeds) -> None:
    archive = seeds.archive()
    document, finding = seeds.lease(archive), seeds.finding(archive)
    for number, word in enumerate(dict.fromkeys(LEASE.split()[:60]), start=1):
        seeds.cite(finding, document, word, number=number)
    page = open_page("ask", finding=finding.id)
    before = sum(label.startswith("Show page") for label in labels(page))
    press(page, next(label for label in labels(page) if "more of" in label))
    after = sum(label.startswith("Show page") for label in labels(page))
    assert (before, after > before) == (20, True)


def test_a_citation_of_recognised_text_is_marked(seeds: Seeds) -> None:
    archive = seeds.archive()
    document, finding = seeds.lease(archive), seeds.finding(archive)
    seeds.cite(finding, document, QUOTE)
    with seeds.database.session() as s:
        recognised.note(s, document.id, {1: 0.87})
    assert "recognised text, 87% sure" in words_of(open_page("ask", finding=finding.id))
