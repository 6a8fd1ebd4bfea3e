"""The main job in a real browser: upload, read, ask, check the quote on its page, export."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect
from pypdf import PdfWriter
from steps import (
    LEASE,
    NOTICE,
    NOTICE_QUESTION,
    PAPER,
    ask,
    choose,
    download,
    go_to_ask,
    make_archive,
    payload,
    pick,
    press,
    send,
    settle,
    show_page,
)

EVIL = "<img src=x onerror=alert(1)> **b**.txt"
LIFETIME = "The measured mean lifetime of the muon is 2.184 ± 0.021 microseconds"


def upload(page: Page) -> None:
    hostile = payload(EVIL, b"Nothing of note stands here.\n")
    empty = payload("empty.txt", b"")
    send(page, LEASE, PAPER, hostile, empty)


def test_upload_read_ask_check_export(page: Page) -> None:
    make_archive(page, "Harbour <b>leases</b>")

    upload(page)
    expect(page.get_by_text("3 of 4 documents read.")).to_be_visible()
    expect(page.locator(".eg-unread")).to_contain_text("empty.txt")

    go_to_ask(page)
    ask(page, NOTICE_QUESTION)
    expect(page.locator(".eg-answer")).to_contain_text("six months")
    expect(page.locator(".eg-badge").first).to_have_text("✓ verified")
    expect(page.locator(".eg-gauges")).to_contain_text("tokens/s")

    expect(show_page(page).locator(".eg-page mark")).to_contain_text(NOTICE)

    exported = download(page, page.get_by_role("button", name="Markdown")).decode()
    assert NOTICE in exported
    assert "lease\\-12" in exported or "lease-12" in exported

    page.reload()
    expect(page.locator(".eg-answer")).to_contain_text("six months")


def test_the_page_of_a_pdf_is_shown_with_the_quote_boxed(page: Page, tmp_path: Path) -> None:
    paper = tmp_path / "paper.pdf"
    with PdfWriter() as writer:
        writer.append(PAPER, pages=(2, 3))
        writer.write(paper)
    make_archive(page, "Muons")
    send(page, paper, LEASE)
    go_to_ask(page)

    pick(page, "Documents", paper.name)
    ask(page, "What is the measured mean lifetime of the muon?")
    expect(page.locator(".eg-meta").first).to_contain_text(f"asked of 1 document only: {paper.name}")
    expect(page.locator(".eg-source").first).to_contain_text(LIFETIME)

    image = show_page(page).get_by_role("img")
    expect(image).to_be_visible()
    assert image.evaluate("picture => picture.naturalWidth") == 1240


def test_a_thread_a_list_a_comparison_and_a_summary(page: Page, tmp_path: Path) -> None:
    other = tmp_path / "lease-21.md"
    other.write_text(LEASE.read_text(encoding="utf-8").replace("12 Harbour", "21 Harbour"), encoding="utf-8")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    make_archive(page, "Kinds")
    send(page, LEASE, other)
    expect(page.get_by_text("All 2 documents read.")).to_be_visible()
    go_to_ask(page)

    box = page.get_by_placeholder("Ask a question")
    expect(box).to_be_focused()
    page.keyboard.type(NOTICE_QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".eg-answer")).to_contain_text("six months")
    press(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert f"“{NOTICE}" in page.evaluate("navigator.clipboard.readText()")

    follow = page.get_by_placeholder("Ask a follow-up")
    follow.fill("and its rent?")
    follow.press("Enter")
    expect(page.get_by_text("What is the rent of the lease of 12 Harbour Street?")).to_be_visible()
    expect(page.locator(".st-key-thread")).to_contain_text("six months")
    expect(page.get_by_role("button", name="Markdown")).to_be_visible()

    choose(page, "Everything about")
    about = page.get_by_placeholder("Name what it is about")
    about.fill("notice period")
    about.press("Enter")
    expect(page.locator(".eg-question").filter(has_text="notice period")).to_be_visible()
    expect(page.locator(".eg-quote mark").first).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Show page").first.click()
    expect(page.locator(".eg-page")).to_be_visible()

    choose(page, "Compare")
    both = page.get_by_placeholder("Ask both documents")
    both.fill("What is the notice period?")
    both.press("Enter")
    expect(page.locator(".eg-pairs")).to_contain_text("12")

    choose(page, "Summary")
    press(page, "Summarise the whole archive")
    expect(page.locator(".eg-part")).to_have_count(2)
    expect(page.get_by_text("Extractive:")).to_be_visible()
