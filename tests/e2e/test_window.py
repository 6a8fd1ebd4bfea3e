"""A narrow window at night: every page fits the width of a telephone and follows the system's dark look."""

from __future__ import annotations

import pytest
from desk import Desk
from playwright.sync_api import Page, expect
from steps import LEASE, NOTICE_QUESTION, settle, show_page, visit

from app import matrix
from storage import Archive, QuestionData

WIDTH = 390
PAGES = ("Library", "Ask", "Matrix", "Findings", "Spikes", "Engine", "Help")
NIGHT = "rgb(22, 25, 28)"
# What is wider than the window, what sticks out of it, and lies in nothing that scrolls by itself.
WIDER = """() => {
  const main = document.querySelector('[data-testid="stMain"]'), wide = [];
  if (main.scrollWidth > main.clientWidth) wide.push(`page: ${main.scrollWidth} px`);
  if (document.documentElement.scrollWidth > innerWidth) wide.push("document");
  for (const part of main.querySelectorAll("button, input, textarea, p, h1, h2, img")) {
    const box = part.getBoundingClientRect();
    const inside = part.closest('.eg-scroll, [data-testid="stDataFrame"], [data-testid="stPlotlyChart"]');
    if (box.width > 1 && box.right > innerWidth + 1 && !inside) wide.push(part.outerHTML.slice(0, 120));
  }
  return wide;
}"""


@pytest.fixture(scope="module")
def archive(desk: Desk) -> Archive:
    """An archive with something on every page."""
    made = desk.archive("A name that is rather long for a narrow window", LEASE)
    desk.ask(made, NOTICE_QUESTION)
    matrix.make(desk.services, made, "Rents", [QuestionData("What is the rent?", "Rent")])
    desk.rest(made)
    return made


def test_every_page_fits_a_narrow_window_at_night(page: Page, desk: Desk, archive: Archive) -> None:
    page.set_viewport_size({"width": WIDTH, "height": 844})
    page.emulate_media(color_scheme="dark")
    for title in PAGES:
        visit(page, title, archive)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", NIGHT)
        assert page.evaluate(WIDER) == [], title


def test_an_answer_and_its_page_fit_a_narrow_window(page: Page, desk: Desk, archive: Archive) -> None:
    page.set_viewport_size({"width": WIDTH, "height": 844})
    visit(page, "Findings", archive)
    page.get_by_role("button", name=NOTICE_QUESTION).click()
    show_page(page)
    assert page.evaluate(WIDER) == []
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Matrix").click()
    expect(page.get_by_role("heading", level=1, name="Matrix")).to_be_visible()
    settle(page)
    assert page.evaluate(WIDER) == []
