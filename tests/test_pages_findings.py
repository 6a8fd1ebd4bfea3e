"""The Findings page: history, opening one, export, deletion."""

from __future__ import annotations

import io
import json

import pytest
from docx import Document
from page_driver import html_of, labels, notices, open_page, press, words_of
from page_seeds import QUOTE, Seeds
from streamlit.testing.v1 import AppTest

from app.view.exports import export_bytes
from storage import findings


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


def select(page: AppTest, *ids: int) -> AppTest:
    for finding_id in ids:
        page.checkbox(key=f"select_{finding_id}").check()
    return page.run()


@pytest.mark.parametrize("with_archive", [False, True])
def test_without_findings_it_leads_to_the_ask_page(seeds: Seeds, with_archive: bool) -> None:
    if with_archive:
        seeds.archive()
    page = open_page("findings")
    assert not page.exception
    assert "No findings yet" in words_of(page)
    assert labels(page) == ["Ask a question"]


def test_history_names_each_finding_with_its_status(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.finding(archive, question="First?")
    seeds.finding(archive, "not_found", "", "Second?")
    seeds.finding(archive, "running", "", "Third?")
    page = open_page("findings")
    assert not page.exception
    questions = [label.replace("\\", "") for label in labels(page) if label.endswith("?")]
    assert questions == ["Third?", "Second?", "First?"]
    said = words_of(page)
    assert all(
        words in said for words in ("supported by the archive", "not found in this archive", "answering")
    )


def test_a_finding_opens_in_full_and_closes(seeds: Seeds) -> None:
    archive = seeds.archive()
    finding = seeds.finding(archive)
    seeds.cite(finding, seeds.lease(archive), QUOTE)
    page = open_page("findings")
    assert QUOTE not in words_of(page)
    page.button(key=f"look_{finding.id}").click().run()
    assert QUOTE in words_of(page)
    page.button(key=f"open_{finding.id}_1").click().run()
    assert f"<mark>{QUOTE}</mark>" in html_of(page)
    page.button(key=f"look_{finding.id}").click().run()
    assert QUOTE not in words_of(page)


def test_a_search_narrows_the_history(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.finding(archive, question="Rent?", answer="2,450 euros")
    seeds.finding(archive, question="Dose?", answer="25 mg")
    page = open_page("findings")
    page.text_input[0].set_value("euros").run()
    assert "Rent?" in labels(page)
    assert "Dose?" not in labels(page)
    page.text_input[0].set_value("nowhere").run()
    assert "No finding holds these words" in words_of(page)


def test_long_histories_come_in_parts(seeds: Seeds) -> None:
    archive = seeds.archive()
    for number in range(28):
        seeds.finding(archive, question=f"Question {number}?")
    page = open_page("findings")
    assert "Question 0?" not in labels(page)
    press(page, "Show 3 more")
    assert "Question 0?" in labels(page)


def test_findings_are_deleted_only_after_confirmation(seeds: Seeds) -> None:
    archive = seeds.archive()
    kept, gone = seeds.finding(archive), seeds.finding(archive)
    page = press(select(open_page("findings"), gone.id), "Delete")
    with seeds.database.session() as s:
        assert len(findings.list_findings(s)) == 2
    page.button(key="delete_confirmed").click().run()
    assert not page.exception
    with seeds.database.session() as s:
        assert [finding.id for finding in findings.list_findings(s)] == [kept.id]


def test_keeping_deletes_nothing(seeds: Seeds) -> None:
    finding = seeds.finding(seeds.archive())
    page = press(select(open_page("findings"), finding.id), "Delete")
    page.button(key="delete_kept").click().run()
    with seeds.database.session() as s:
        assert findings.list_findings(s)


def test_export_takes_the_selection_or_all(seeds: Seeds) -> None:
    archive = seeds.archive()
    one = seeds.finding(archive)
    seeds.finding(archive)
    page = open_page("findings")
    assert page.get("download_button")[0].help.startswith("2 findings")
    assert select(page, one.id).get("download_button")[0].help.startswith("1 finding ")


def test_exports_carry_question_quote_and_provenance(seeds: Seeds) -> None:
    archive = seeds.archive("Leases")
    finding = seeds.finding(archive)
    seeds.cite(finding, seeds.lease(archive), QUOTE)
    text = export_bytes([finding], "md", archive.name).decode()
    assert "What is the notice period?" in text
    data = json.loads(export_bytes([finding], "json", archive.name))
    assert QUOTE in json.dumps(data)
    document = Document(io.BytesIO(export_bytes([finding], "docx", archive.name)))
    assert any(QUOTE in paragraph.text for paragraph in document.paragraphs)


def test_hostile_questions_are_shown_as_they_stand(seeds: Seeds) -> None:
    evil = "<img src=x> ![x](http://e/x.png) :material/check:"
    finding = seeds.finding(seeds.archive(), question=evil, answer=evil, error=evil)
    page = open_page("findings")
    page.button(key=f"look_{finding.id}").click().run()
    assert not page.exception
    assert "<img" not in html_of(page)
    assert not any("![x](" in label or "<img" in label.replace("\\<", "") for label in labels(page))
    assert notices(page) == ""
