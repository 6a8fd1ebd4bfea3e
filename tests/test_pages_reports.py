"""Findings page: notes, tags, and reports in a person's own order."""

from __future__ import annotations

import io

import pytest
from docx import Document
from page_driver import html_of, labels, open_page, press, words_of
from page_seeds import QUOTE, Seeds
from streamlit.testing.v1 import AppTest

from app.view.exports import Words, export_bytes
from storage import findings, reports


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


def add_to_report(page: AppTest, title: str, *ids: int) -> AppTest:
    for finding_id in ids:
        page.checkbox(key=f"select_{finding_id}").check()
    page.run()
    page.text_input(key="report_title").set_value(title)
    return press(page, "Add")


def test_a_note_and_tags_are_saved_shown_and_searched(seeds: Seeds) -> None:
    archive = seeds.archive()
    finding = seeds.finding(archive)
    seeds.finding(archive, question="Another?")
    page = open_page("findings")
    page.button(key=f"look_{finding.id}").click().run()
    page.text_area(key=f"note_{finding.id}").set_value("Ask <b>counsel</b>")
    page.multiselect(key=f"tags_{finding.id}").set_value(["Übersicht"])
    press(page, "Save")
    assert not page.exception
    assert "Ask &lt;b&gt;counsel" in html_of(page)
    assert "Übersicht" in words_of(page)
    page.text_input(key="findings_search").set_value("übersicht").run()
    assert "Another?" not in labels(page)
    with seeds.database.session() as s:
        assert findings.get_finding(s, finding.id).tags == ["Übersicht"]


def test_selected_findings_make_a_report_that_can_be_put_in_order(seeds: Seeds) -> None:
    archive = seeds.archive()
    first, second = (seeds.finding(archive, question=question) for question in ("First?", "Second?"))
    page = add_to_report(open_page("findings"), "Notice periods", first.id, second.id)
    assert not page.exception
    with seeds.database.session() as s:
        (report,) = reports.list_reports(s, archive.id)
    assert (report.title, report.findings) == ("Notice periods", [first.id, second.id])
    page.button(key=f"move_1_{report.id}_{first.id}").click().run()
    page.text_area(key=f"introduction_{report.id}").set_value("What we found.")
    press(page, "Save")
    with seeds.database.session() as s:
        report = reports.get_report(s, report.id)
    assert (report.introduction, report.findings) == ("What we found.", [second.id, first.id])
    page.button(key=f"drop_{report.id}_{first.id}").click().run()
    press(page, "Delete the report")
    assert not page.exception
    with seeds.database.session() as s:
        assert reports.list_reports(s, archive.id) == []
        assert len(findings.list_findings(s, archive.id)) == 2


def test_findings_are_added_to_a_report_that_is_there(seeds: Seeds) -> None:
    archive = seeds.archive()
    first, second = seeds.finding(archive), seeds.finding(archive)
    with seeds.database.session() as s:
        report = reports.create_report(s, archive.id, "R", [first.id])
    page = open_page("findings")
    page.checkbox(key=f"select_{second.id}").check().run()
    page.selectbox(key="report_target").set_value(report.id)
    press(page, "Add")
    with seeds.database.session() as s:
        assert reports.get_report(s, report.id).findings == [first.id, second.id]


def test_a_report_is_exported_with_title_introduction_and_notes(seeds: Seeds) -> None:
    archive = seeds.archive("Leases")
    finding = seeds.finding(archive)
    seeds.cite(finding, seeds.lease(archive), QUOTE)
    with seeds.database.session() as s:
        noted = findings.annotate_finding(s, finding.id, "Ask counsel", ["lease"])
    words = Words("Leases", "Notice periods", "What we found.")
    document = Document(io.BytesIO(export_bytes([noted], "docx", words)))
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert texts[0] == "Notice periods"
    assert "What we found." in texts
    assert "Ask counsel" in texts
    assert any(QUOTE in text for text in texts)


@pytest.mark.parametrize("suffix", ["pdf", "docx", "md", "html", "xlsx", "csv", "json"])
def test_every_format_is_offered_and_made(seeds: Seeds, suffix: str) -> None:
    finding = seeds.finding(seeds.archive())
    assert len(export_bytes([finding], suffix, "Leases")) > 200
