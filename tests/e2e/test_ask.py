"""Asking: of some documents only, by keyboard alone, stopped and asked again."""

from __future__ import annotations

import pytest
from desk import Desk
from playwright.sync_api import Page, expect
from steps import LEASE, NOTICE_QUESTION, OTHER_LEASE, RENT_QUESTION, ask, pick, press, settle, visit

from storage import Archive
from storage.tags import tag_documents


@pytest.fixture(scope="module")
def archive(desk: Desk) -> Archive:
    """Two leases, one of them tagged."""
    made = desk.archive("Asking", LEASE, OTHER_LEASE)
    first = next(row for row in desk.documents(made) if row.name == LEASE.name)
    with desk.services.database.session() as s:
        tag_documents(s, made.id, [first.id], ["harbour"])
    return made


def test_a_question_is_put_to_a_tag_or_a_document_only(page: Page, archive: Archive) -> None:
    visit(page, "Ask", archive)
    pick(page, "Tags", "harbour")
    question = "What is the notice period for terminating the lease?"
    ask(page, question)
    said = page.locator(".eg-meta").first
    expect(said).to_contain_text("asked of 1 document only: tagged harbour")
    expect(page.locator(".eg-answer")).to_contain_text("six months")

    visit(page, "Ask", archive)
    pick(page, "Documents", OTHER_LEASE.name)
    ask(page, question)
    expect(said).to_contain_text(f"asked of 1 document only: {OTHER_LEASE.name}")
    expect(page.locator(".eg-source").first).to_contain_text(OTHER_LEASE.name)


def test_an_answer_is_stopped_and_asked_again_by_keyboard(page: Page, desk: Desk, archive: Archive) -> None:
    visit(page, "Ask", archive)
    expect(page.get_by_placeholder("Ask a question")).to_be_focused()
    stop = page.get_by_role("button", name="Stop")
    with desk.held():
        page.keyboard.type(NOTICE_QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".eg-question")).to_have_text(NOTICE_QUESTION)
        expect(page.get_by_text("Reading the best passages")).to_be_visible()
        expect(stop).to_be_enabled()
        page.keyboard.press("Escape")
        expect(stop).to_be_disabled()
        desk.beat(archive)
    expect(page.get_by_text("Stopped before the answer was complete.")).to_be_visible()
    settle(page)
    page.keyboard.press("Alt+a")
    expect(page.locator(".eg-answer")).to_contain_text("six months")
    expect(page.locator(".eg-badge").first).to_have_text("✓ verified")
    settle(page)
    page.keyboard.press("Alt+n")
    expect(page.locator(".eg-question")).to_have_count(0)


def test_a_question_under_way_ends_on_the_findings_page_by_itself(
    page: Page, desk: Desk, archive: Archive
) -> None:
    with desk.held():
        visit(page, "Ask", archive)
        box = page.get_by_placeholder("Ask a question")
        box.fill(RENT_QUESTION)
        box.press("Enter")
        expect(page.get_by_text("Reading the best passages")).to_be_visible()
        settle(page)
        page.get_by_role("link", name="Findings").click()
        row = page.locator('[class*="st-key-finding_"]').filter(has_text=RENT_QUESTION)
        expect(row).to_contain_text("answering")
    expect(row).to_contain_text("by the archive")
    press(page, RENT_QUESTION)
    expect(page.locator(".eg-answer")).to_contain_text("Harbour Street")
