"""The viewer: citations and pages one after another, search inside, the whole document."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import Desk
from playwright.sync_api import Page, expect
from steps import LEASE, download, marked, press, settle, show_page, visit

from app.request import SUMMARY, Request, titled
from storage import Archive

RENT = "The rent of Oak House is 900 euros a month."
PAGES = (
    "The lease of Oak House runs for ten years.",
    "The notice period of Oak House is six\nmonths to the end of a quarter.",
    RENT,
)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of three pages."""
    path = tmp_path_factory.mktemp("viewer") / "oak.txt"
    path.write_text("\f".join(f"{page}\n" for page in PAGES), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def archive(desk: Desk, book: Path) -> Archive:
    return desk.archive("Viewer", book, LEASE)


def test_citations_lead_to_one_another(page: Page, desk: Desk, archive: Archive) -> None:
    finding = desk.ask(archive, titled(Request("", SUMMARY), archive.name))
    first, second = (citation.quote for citation in finding.citations[:2])
    visit(page, "Ask", archive, finding=finding.id)
    viewer = show_page(page)
    marked(page, first)
    expect(viewer.get_by_role("button", name="Previous citation")).to_be_disabled()
    press(page, "Next citation")
    marked(page, second)
    press(page, "Previous citation")
    marked(page, first)


def test_pages_are_turned_searched_and_taken_along(
    page: Page, desk: Desk, archive: Archive, book: Path
) -> None:
    finding = desk.ask(archive, "What is the rent of Oak House?")
    visit(page, "Findings", archive)
    page.get_by_role("button", name="What is the rent of Oak House?").click()
    expect(page.locator(".eg-source").first).to_contain_text(RENT)
    viewer = show_page(page)
    text = viewer.locator(".eg-page")
    marked(page, RENT)
    assert finding.citations[0].page == 3

    press(page, "Previous page")
    expect(text).to_contain_text("The notice period of Oak House")
    expect(text.locator("mark")).to_have_count(0)

    words = viewer.get_by_label("Search in this document")
    words.fill("nowhere")
    words.press("Enter")
    expect(viewer.get_by_text("These words do not stand in this document.")).to_be_visible()
    settle(page)
    words.fill("SIX months")
    words.press("Enter")
    expect(viewer.get_by_text("1 place")).to_be_visible()
    settle(page)
    viewer.get_by_role("button", name="Page 2:").click()
    marked(page, "six months")
    press(page, "Back to the quote")
    marked(page, RENT)

    assert download(page, viewer.get_by_role("button", name="Whole document")) == book.read_bytes()
