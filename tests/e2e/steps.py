"""What a person does on the pages, one step a function; each step ends with the page at rest."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import FilePayload, Locator, Page, expect

from storage import Archive

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "sample" / "documents"
LEASE = SAMPLE / "legal" / "lease-12-harbour-street.md"
OTHER_LEASE = SAMPLE / "legal" / "lease-21-harbour-street.md"
PAPER = SAMPLE / "physics" / "muon-lifetime.pdf"
NOTICE = "The notice period for terminating the lease of 12 Harbour Street is six months"
NOTICE_QUESTION = "What is the notice period for terminating the lease of 12 Harbour Street?"
RENT_QUESTION = "What is the monthly rent for 12 Harbour Street?"
ROW_PX = 35  # of a table, its head included


def settle(page: Page) -> None:
    """Wait until the page is drawn: while it is, the parts of the page before stand beside the new ones."""
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator('[data-stale="true"]')).to_have_count(0)


def visit(page: Page, title: str, archive: Archive | None = None, **address: object) -> None:
    """Open a page by its address; `address`: what else stands behind the question mark."""
    place = "" if title == "Library" else title.lower()
    said = ({"archive": archive.id} if archive else {}) | address
    page.goto(f"/{place}?" + "&".join(f"{key}={value}" for key, value in said.items()))
    expect(page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()
    settle(page)


def press(page: Page, label: str, within: Locator | None = None) -> None:
    """Press the one button of this label; a shortcut may stand behind it."""
    settle(page)
    named = re.compile(rf"^{re.escape(label)}( Shortcut .*)?$")
    (within or page).get_by_role("button", name=named).click()


def make_archive(page: Page, name: str) -> None:
    """A new archive through the dialog of the Library."""
    page.goto("/")
    expect(page.get_by_role("button", name="New archive")).to_be_visible()
    press(page, "New archive")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("combobox", name="Archive")).to_have_value(name)
    expect(page.get_by_text("No documents yet.")).to_be_visible()
    settle(page)


def send(page: Page, *files: Path | FilePayload) -> None:
    """Choose files to upload, as the file chooser of the one drop zone would."""
    chooser = page.locator('input[type="file"]')
    expect(chooser).to_have_count(1)
    named = [payload(file.name, file.read_bytes()) if isinstance(file, Path) else file for file in files]
    chooser.set_input_files(named)


def payload(name: str, content: bytes) -> FilePayload:
    """A file that is on no disk."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def go_to_ask(page: Page) -> None:
    """From the Library on, once everything was read."""
    link = page.get_by_role("link", name="Ask this archive")
    expect(link).to_be_visible()
    expect(page.locator('[class*="st-key-job_"]')).to_have_count(0)
    settle(page)
    link.click()
    expect(page.get_by_role("heading", level=1, name="Ask", exact=True)).to_be_visible()
    settle(page)


def ask(page: Page, question: str, placeholder: str = "Ask a question") -> None:
    """Put a question and wait for its whole answer."""
    box = page.get_by_placeholder(placeholder)
    box.fill(question)
    box.press("Enter")
    expect(page.locator(".eg-question")).to_have_text(question)
    expect(page.get_by_role("button", name="Markdown")).to_be_visible()
    settle(page)


def choose(page: Page, kind: str) -> None:
    """Take one of the choices that stand side by side."""
    settle(page)
    page.get_by_test_id("stButtonGroup").get_by_text(kind, exact=True).click()


def pick(page: Page, label: str, option: str) -> None:
    """Choose from a list that drops down; one of several may be chosen after another."""
    settle(page)
    box = page.get_by_role("combobox", name=label)
    box.click()
    page.get_by_role("option", name=option).click()
    page.keyboard.press("Escape")
    settle(page)


def show_page(page: Page, number: int = 1) -> Locator:
    """Open the citation of this number; the viewer under it."""
    settle(page)
    page.locator('[class*="st-key-citation_"]').nth(number - 1).get_by_role(
        "button", name="Show page"
    ).click()
    viewer = page.locator(".st-key-cited_page")
    expect(viewer).to_be_visible()
    settle(page)
    return viewer


def marked(page: Page, quote: str) -> None:
    """Wait until the viewer marks this and nothing else."""
    expect(page.locator(".st-key-cited_page mark").filter(has_text=quote).first).to_be_visible()
    expect(page.locator(".st-key-cited_page mark")).to_have_count(1)
    settle(page)


def cell(page: Page, column: int, row: int) -> Locator:
    """What a screen reader finds at a place of the table, both counted from 0."""
    return page.get_by_test_id(f"glide-cell-{column}-{row}")


def click_table(page: Page, x: int, row: int) -> None:
    """Click into a row of the table, -1 being its head, `x` pixels from its left edge: it is a canvas."""
    settle(page)
    grid = page.get_by_test_id("stDataFrame").locator(".dvn-scroller")
    grid.click(position={"x": x, "y": ROW_PX * (row + 1) + ROW_PX / 2})


def download(page: Page, button: Locator) -> bytes:
    """What the button downloads."""
    settle(page)
    with page.expect_download() as started:
        button.click()
    return Path(started.value.path()).read_bytes()
