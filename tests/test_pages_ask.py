"""The Ask page: empty, waiting, being written, done, not found, failed."""

from __future__ import annotations

import pytest
from page_driver import html_of, labels, notices, open_page, press, words_of
from page_seeds import PDF_QUOTE, QUOTE, Seeds
from streamlit.testing.v1 import AppTest

from storage import findings, jobs


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


def ask(page: AppTest, question: str) -> AppTest:
    return page.chat_input[0].set_value(question).run()


def open_citation(page: AppTest, number: int) -> AppTest:
    key = next(
        b.key for b in page.button if b.key and b.key.startswith("open_") and b.key.endswith(f"_{number}")
    )
    return page.button(key=key).click().run()


def test_without_an_archive_it_leads_to_the_library() -> None:
    page = open_page("ask")
    assert not page.exception
    assert "There is no archive yet" in words_of(page)
    assert labels(page) == ["Go to the Library"]


def test_says_when_the_worker_is_not_running_and_how_to_start_it(seeds: Seeds) -> None:
    seeds.lease(seeds.archive())
    page = open_page("ask")
    assert "The worker is not running" in notices(page)
    assert "python3 start.py worker" in notices(page)


def test_says_nothing_of_the_worker_while_it_runs(seeds: Seeds) -> None:
    seeds.lease(seeds.archive())
    seeds.worker()
    page = open_page("ask")
    assert notices(page) == ""
    assert "Worker running" in words_of(page)


def test_a_question_becomes_a_job_for_the_worker(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    page = ask(open_page("ask"), "What is the rent?")
    assert not page.exception
    with seeds.database.session() as s:
        (job,) = jobs.list_jobs(s, archive.id)
        (finding,) = findings.list_findings(s, archive.id)
    assert (job.kind, job.status, job.priority) == ("ask", "queued", 10)
    assert (finding.question, finding.status, finding.job_id) == ("What is the rent?", "running", job.id)
    assert "What is the rent?" in words_of(page)
    assert "Waiting for the worker" in page.caption[0].value


def test_a_question_can_be_put_to_some_documents_only(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    seeds.text(archive, "other.txt", "Other.\n")
    page = open_page("ask")
    page.multiselect[0].set_value(["other.txt"]).run()
    ask(page, "What is the rent?")
    with seeds.database.session() as s:
        assert findings.list_findings(s)[0].documents == ["other.txt"]
    assert "asked of 1 document only: other.txt" in words_of(page)


def test_an_empty_question_is_refused_in_words(seeds: Seeds) -> None:
    seeds.lease(seeds.archive())
    page = ask(open_page("ask"), "   ")
    assert not page.exception
    assert "The question is empty" in notices(page)


def test_an_endless_question_is_refused_in_words(seeds: Seeds) -> None:
    seeds.lease(seeds.archive())
    page = ask(open_page("ask"), "why " * 12_500)
    assert not page.exception
    assert "characters" in notices(page)


def test_the_growing_answer_is_shown_and_can_be_stopped(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    finding = seeds.finding(archive, "running", "The notice per", run={}, context={})
    page = open_page("ask")
    assert "The notice per" in words_of(page)
    assert "eg-cursor" in html_of(page)
    assert "still to be checked" in words_of(page)
    assert "not available" not in words_of(page)
    press(page, "Stop")
    with seeds.database.session() as s:
        assert findings.get_finding(s, finding.id).status == "cancelled"


def test_a_finished_answer_has_citations_coverage_gauges_and_exports(seeds: Seeds) -> None:
    archive = seeds.archive()
    missing = [{"document": "x.pdf", "reason": "The file is encrypted."}]
    context = {"documents": 13, "tokens_read": 1204, "tokens_total": 1204, "not_read": missing}
    finding = seeds.finding(archive, context=context)
    seeds.cite(finding, seeds.lease(archive), QUOTE)
    seeds.cite(finding, None, "The landlord lives in Rome.", number=2, verified=False)
    page = look_at(finding.id)
    said = words_of(page)
    assert not page.exception
    assert "✓ supported by the archive" in said
    assert f"“{QUOTE}”" in said
    assert "✓ verified" in said
    assert "! unverified" in said
    assert "12 of 13 documents read. Not read: x.pdf (the file is encrypted)." in said
    for gauge in (
        "812 tokens/s",
        "14.2 tokens/s",
        "0.84 s",
        "1,204 tokens",
        "612 MB",
        "12.3 W",
        "41.3 J",
        "18.4 %",
    ):
        assert gauge in said
    assert "Measured by RAPL package-0" in said
    assert f'href="#source-{finding.id}-1"' in html_of(page)
    assert [button.label for button in page.get("download_button")] == [
        "PDF", "DOCX", "Markdown", "HTML", "XLSX", "CSV", "JSON"
    ]  # fmt: skip


def look_at(finding_id: int) -> AppTest:
    return open_page("ask", finding=finding_id)


def test_power_without_a_sensor_is_not_available(seeds: Seeds) -> None:
    archive = seeds.archive()
    run = {"energy_j": None, "power_w": None, "power_source": "not available"}
    said = words_of(look_at(seeds.finding(archive, run=run).id))
    assert "Power not available Energy not available" in said
    assert "0 W" not in said


def test_a_click_on_a_citation_shows_its_page_with_the_quote_marked(seeds: Seeds) -> None:
    archive = seeds.archive()
    finding = seeds.finding(archive)
    seeds.cite(finding, seeds.lease(archive), QUOTE)
    page = open_citation(look_at(finding.id), 1)
    assert not page.exception
    assert f"<mark>{QUOTE}</mark>" in html_of(page)
    assert "<mark>" not in html_of(open_citation(page, 1))


def test_a_click_on_a_pdf_citation_shows_the_page_image(seeds: Seeds) -> None:
    archive = seeds.archive()
    finding = seeds.finding(archive)
    seeds.cite(finding, seeds.paper(archive), PDF_QUOTE)
    page = open_citation(look_at(finding.id), 1)
    assert not page.exception
    assert len(page.get("image")) == 1


def test_an_unverified_quote_says_so_on_its_page(seeds: Seeds) -> None:
    archive = seeds.archive()
    finding = seeds.finding(archive)
    seeds.cite(finding, seeds.lease(archive), "The landlord lives in Rome.", verified=False)
    page = open_citation(look_at(finding.id), 1)
    assert any("word for word" in caption.value for caption in page.caption)
    assert "<mark>" not in html_of(page)


def test_a_citation_of_a_removed_document_says_so(seeds: Seeds) -> None:
    finding = seeds.finding(seeds.archive())
    seeds.cite(finding, None, "Gone.")
    page = open_citation(look_at(finding.id), 1)
    assert "has been removed" in notices(page)


def test_not_found_says_so(seeds: Seeds) -> None:
    archive = seeds.archive()
    said = words_of(look_at(seeds.finding(archive, "not_found", "").id))
    assert "not found in this archive" in said
    assert "Nothing that was read supports an answer" in said


def test_what_came_closest_is_shown_and_opens_on_its_page(seeds: Seeds) -> None:
    archive = seeds.archive()
    document = seeds.lease(archive)
    near = {"document": document.name, "page": 1, "start": 0, "end": len(QUOTE), "quote": QUOTE}
    gone = near | {"document": "gone.txt", "quote": "<b>rent</b>"}
    finding = seeds.finding(archive, "not_found", "", details={"closest": [near, gone]})
    page = look_at(finding.id)
    assert "What came closest" in words_of(page)
    assert "<b>rent" not in html_of(page)
    # The number's column comes first: without it the text stands in that column, letters wide.
    assert html_of(page).count('<div class="eg-source"><span class="eg-number">') == 2
    opened = page.button(key=f"open_closest_{finding.id}_1").click().run()
    assert f"Close page {near['page']}" in labels(opened)
    assert f"{QUOTE}</mark>" in html_of(opened)
    assert "has been removed" in notices(page.button(key=f"open_closest_{finding.id}_2").click().run())


def test_a_failed_answer_says_why_without_markup(seeds: Seeds) -> None:
    archive = seeds.archive()
    page = look_at(seeds.finding(archive, "failed", "", error="Bad ![x](http://e/x.png)").id)
    assert not page.exception
    assert "Bad" in page.error[0].value
    assert "![x](" not in page.error[0].value


def test_hostile_text_is_escaped_everywhere(seeds: Seeds) -> None:
    archive = seeds.archive("<b>A</b>")
    evil = "<img src=x onerror=alert(1)>"
    document = seeds.text(archive, f"{evil}.txt", f"Before {evil} after\n")
    context = {
        "documents": 1,
        "tokens_read": 1,
        "tokens_total": 1,
        "not_read": [{"document": evil, "reason": evil}],
    }
    finding = seeds.finding(
        archive, answer=f"{evil} [1]", question=evil, context=context, run={"model": evil}
    )
    seeds.cite(finding, document, evil)
    page = open_citation(look_at(finding.id), 1)
    assert not page.exception
    assert "<img" not in html_of(page)


def test_the_sample_archive_suggests_questions(seeds: Seeds) -> None:
    archive = seeds.archive("Sample archive")
    seeds.lease(archive)
    page = open_page("ask")
    press(page, "What is the notice period for terminating the lease of 12 Harbour Street?")
    with seeds.database.session() as s:
        assert findings.list_findings(s, archive.id)[0].question.startswith("What is the notice period")
