"""The viewer: citations and pages one after another, search inside the document, quick in a long PDF."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from page_driver import html_of, labels, open_page, words_of
from page_seeds import QUOTE, Seeds
from reportlab.pdfgen.canvas import Canvas
from streamlit.testing.v1 import AppTest

from app.view import pdf_page
from storage import Finding, documents

PAGES = ("Page one says alpha.\n", "Page two says six\nmonths of <b>alpha</b>.\n", "Page three says omega.\n")


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


def opened(seeds: Seeds, *quotes: str) -> tuple[AppTest, Finding]:
    """The Findings page with the first citation of these quotes open."""
    archive = seeds.archive()
    finding = seeds.finding(archive, answer=" ".join(f"x [{n}]" for n in range(1, len(quotes) + 1)))
    document = seeds.text(archive, "a.txt", *PAGES)
    for number, quote in enumerate(quotes, 1):
        seeds.cite(finding, document, quote, number=number)
    page = open_page("findings")
    page.button(key=f"look_{finding.id}").click().run()
    page.button(key=f"open_{finding.id}_1").click().run()
    assert not page.exception
    return page, finding


def test_pages_are_turned_and_the_quote_is_a_click_away(seeds: Seeds) -> None:
    page, finding = opened(seeds, "Page one says alpha.")
    key = f"{finding.id}_1"
    assert "<mark>Page one says alpha.</mark>" in html_of(page)
    page.button(key=f"right_{key}").click().run()
    assert "six\nmonths of &lt;b&gt;alpha" in html_of(page)
    assert "<mark>" not in html_of(page)
    page.number_input(key=f"page_{key}_2").set_value(3).run()
    assert "Page three says omega." in html_of(page)
    assert page.button(key=f"right_{key}").disabled
    page.button(key=f"back_{key}").click().run()
    assert "<mark>Page one says alpha.</mark>" in html_of(page)


def test_citations_follow_one_another(seeds: Seeds) -> None:
    page, finding = opened(seeds, "Page one says alpha.", "Page three says omega.")
    assert page.button(key=f"before_{finding.id}_1").disabled
    page.button(key=f"after_{finding.id}_1").click().run()
    assert "<mark>Page three says omega.</mark>" in html_of(page)
    assert page.button(key=f"after_{finding.id}_2").disabled
    page.button(key=f"before_{finding.id}_2").click().run()
    assert "<mark>Page one says alpha.</mark>" in html_of(page)


def test_a_search_inside_the_document_leads_to_the_place(seeds: Seeds) -> None:
    page, finding = opened(seeds, "Page one says alpha.")
    key = f"{finding.id}_1"
    page.text_input(key=f"words_{key}").set_value("SIX months").run()
    assert "1 place" in words_of(page)
    page.button(key=f"hit_{key}_0").click().run()
    assert "<mark>six\nmonths</mark>" in html_of(page)
    page.text_input(key=f"words_{key}").set_value("nowhere").run()
    assert "do not stand in this document" in words_of(page)


def test_a_document_of_one_page_has_no_pages_to_turn(seeds: Seeds) -> None:
    archive = seeds.archive()
    finding = seeds.finding(archive)
    seeds.cite(finding, seeds.lease(archive), QUOTE)
    page = open_page("findings")
    page.button(key=f"look_{finding.id}").click().run()
    page.button(key=f"open_{finding.id}_1").click().run()
    assert not page.number_input
    assert "Back to the quote" not in labels(page)


def test_the_search_takes_words_as_they_stand_and_stops_at_its_limit(seeds: Seeds) -> None:
    document = seeds.text(seeds.archive(), "a.txt", "a.b (c) a.b\n", "aXb a.b\n")
    with seeds.database.session() as s:
        hits = documents.find_in_document(s, document.id, "A.B", 10)
        assert [(hit.page, hit.text) for hit in hits] == [(1, "a.b"), (1, "a.b"), (2, "a.b")]
        assert documents.document_text(s, document.id, hits[2].start, hits[2].start + 3) == "a.b"
        assert len(documents.find_in_document(s, document.id, "a.b", 2)) == 2
        assert documents.find_in_document(s, document.id, "  ", 10) == []
        assert documents.find_in_document(s, document.id, "(((", 10) == []


def test_the_whole_document_can_be_taken_along(seeds: Seeds, tmp_path: Path) -> None:
    archive = seeds.archive()
    finding = seeds.finding(archive)
    (tmp_path / "own.txt").write_text(PAGES[0])
    document = seeds.text(archive, "folder/own.txt", PAGES[0], file=tmp_path / "own.txt")
    seeds.cite(finding, document, "Page one says alpha.")
    page = open_page("findings")
    page.button(key=f"look_{finding.id}").click().run()
    page.button(key=f"open_{finding.id}_1").click().run()
    assert "Whole document" in [button.label for button in page.get("download_button")]


def test_a_page_of_a_thousand_is_drawn_in_a_fraction_of_a_second(tmp_path: Path) -> None:
    path = tmp_path / "long.pdf"
    canvas = Canvas(str(path))
    for number in range(1, 1001):
        canvas.drawString(60, 700, f"This is page {number} of the book.")
        canvas.showPage()
    canvas.save()
    pdf_page.draw_page(path, 1, "")  # loading the library is no part of it
    began = time.process_time()  # processor time: what else the machine does is not our affair
    png, boxes = pdf_page.draw_page(path, 777, "page 777 of the book")
    assert time.process_time() - began < 1.0
    assert boxes == 1
    assert png
