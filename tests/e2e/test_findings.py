"""Findings: noted, tagged, put into a report in an order, and taken along in every format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser

import docx
import openpyxl
import pypdf
import pytest
from desk import Desk, until
from playwright.sync_api import Page, expect
from steps import LEASE, NOTICE, NOTICE_QUESTION, RENT_QUESTION, download, press, settle, visit

from storage import Archive

RENT = "The monthly rent for 12 Harbour Street is 2,450 euros"


@pytest.fixture(scope="module")
def archive(desk: Desk) -> Archive:
    """A lease of which two things were asked."""
    made = desk.archive("Findings", LEASE)
    for question in (NOTICE_QUESTION, RENT_QUESTION):
        desk.ask(made, question)
    return made


def of_html(data: bytes) -> str:
    words: list[str] = []
    reader = HTMLParser()
    reader.handle_data = words.append  # type: ignore[method-assign]
    reader.feed(data.decode())
    return " ".join(words)


def of_docx(data: bytes) -> str:
    return "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(data)).paragraphs)


def of_pdf(data: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


def of_xlsx(data: bytes) -> str:
    book = openpyxl.load_workbook(io.BytesIO(data))
    assert book.sheetnames == ["Findings", "Quotes", "Sources", "Coverage", "Provenance"]
    rows = [row for sheet in book for row in sheet.iter_rows(values_only=True)]
    return "\n".join(str(value) for row in rows for value in row if value is not None)


def of_csv(data: bytes) -> str:
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert {row["Verified"] for row in rows} == {"yes"}
    return "\n".join(value for row in rows for value in row.values())


def of_json(data: bytes) -> str:
    content = json.loads(data)
    assert content["title"] == "What the lease says"
    return "\n".join([item["question"] + item["citations"][0]["quote"] for item in content["findings"]])


READERS: dict[str, Callable[[bytes], str]] = {
    "PDF": of_pdf,
    "DOCX": of_docx,
    "Markdown": lambda data: data.decode().replace("\\", ""),
    "HTML": of_html,
    "XLSX": of_xlsx,
    "CSV": of_csv,
    "JSON": of_json,
}


def test_a_finding_gets_a_note_and_a_tag_and_is_found_by_them(page: Page, archive: Archive) -> None:
    visit(page, "Findings", archive)
    press(page, RENT_QUESTION)
    expect(page.locator(".eg-answer")).to_contain_text("2,450 euros")
    press(page, "Add a note or tags")
    form = page.get_by_test_id("stPopoverBody")
    form.get_by_label("Note").fill("Ask counsel")
    tags = form.get_by_role("combobox", name="Tags")
    tags.fill("urgent")
    tags.press("Enter")
    tags.press("Tab")  # the list that dropped down lies over the button
    press(page, "Save", form)
    expect(page.locator(".eg-note")).to_have_text("Ask counsel")
    expect(page.locator(".eg-tag")).to_have_text("urgent")
    settle(page)
    search = page.get_by_role("textbox", name="Search", exact=True)
    search.fill("URGENT")
    search.press("Enter")
    expect(page.get_by_role("button", name=NOTICE_QUESTION)).to_have_count(0)
    expect(page.get_by_role("button", name=RENT_QUESTION)).to_be_visible()


def test_a_report_is_put_in_order_and_taken_along_in_every_format(page: Page, archive: Archive) -> None:
    visit(page, "Findings", archive)
    for number, question in enumerate((NOTICE_QUESTION, RENT_QUESTION), 1):
        page.get_by_role("checkbox", name=f"Select: {question}").check(force=True)
        expect(page.get_by_text(f"{number} selected")).to_be_visible()
        settle(page)
    press(page, "Add to report")
    form = page.get_by_test_id("stPopoverBody")
    form.get_by_label("Title of the new report").fill("What the lease says")
    press(page, "Add", form)
    rows = page.locator('[class*="st-key-report_row_"]')
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(NOTICE_QUESTION)
    press(page, "Down", rows.first)
    expect(rows.first).to_contain_text(RENT_QUESTION)
    settle(page)
    page.get_by_label("Introduction").fill("Read for the annual review.")
    press(page, "Save")
    expect(page.get_by_test_id("stToast").filter(has_text="Saved")).to_be_visible()
    settle(page)

    exports = page.locator('[class*="st-key-export_report_"]')
    first = exports.get_by_role("button", name="PDF", exact=True)
    # Until the page is drawn anew its buttons hold the files of before.
    until(lambda: "annual review" in of_pdf(download(page, first)), lambda: "the old file is offered")
    for name, read in READERS.items():
        if name == "HTML":  # this one and those after it are behind one button
            press(page, "More", exports)
        place = page.get_by_test_id("stPopoverBody") if name in ("HTML", "XLSX", "CSV", "JSON") else exports
        said = " ".join(read(download(page, place.get_by_role("button", name=name, exact=True))).split())
        for words in (RENT_QUESTION, NOTICE_QUESTION, RENT, NOTICE):
            assert words in said, (name, words)
        assert said.index(RENT_QUESTION) < said.index(NOTICE_QUESTION), name
        if name in ("PDF", "DOCX", "Markdown", "HTML"):
            assert "Read for the annual review." in said, name
