"""The main job in a real browser: upload, read, ask, check the quote on its page, export."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import FilePayload, Page, expect
from pypdf import PdfWriter

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "sample" / "documents"
LEASE = SAMPLE / "legal" / "lease-12-harbour-street.md"
PAPER = SAMPLE / "physics" / "muon-lifetime.pdf"
EVIL = "<img src=x onerror=alert(1)> **b**.txt"
NOTICE = "The notice period for terminating the lease of 12 Harbour Street is six months"
LIFETIME = "The measured mean lifetime of the muon is 2.184 ± 0.021 microseconds"


def make_archive(page: Page, name: str) -> None:
    page.get_by_role("button", name="New archive").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("combobox", name="Archive")).to_have_value(name)
    expect(page.get_by_text("No documents yet.")).to_be_visible()
    settle(page)


def settle(page: Page) -> None:
    """Wait until the page is drawn: while it is, the parts of the page before stand beside the new ones."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator('[data-stale="true"]')).to_have_count(0)


def send(page: Page, *files: Path | FilePayload) -> None:
    """Choose files to upload, as the file chooser of the one drop zone would."""
    chooser = page.locator('input[type="file"]')
    expect(chooser).to_have_count(1)
    chooser.set_input_files(list(files))


def payload(name: str, content: bytes) -> FilePayload:
    """A file that is on no disk."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def upload(page: Page) -> None:
    hostile = payload(EVIL, b"Nothing of note stands here.\n")
    empty = payload("empty.txt", b"")
    send(page, *(payload(path.name, path.read_bytes()) for path in (LEASE, PAPER)), hostile, empty)


def ask(page: Page, question: str) -> None:
    box = page.get_by_placeholder("Ask a question")
    box.fill(question)
    box.press("Enter")
    expect(page.locator(".eg-question")).to_have_text(question)
    expect(page.get_by_role("button", name="Markdown")).to_be_visible()


def test_upload_read_ask_check_export(page: Page) -> None:
    make_archive(page, "Harbour <b>leases</b>")

    upload(page)
    expect(page.get_by_role("button", name="Ask this archive")).to_be_visible()
    expect(page.get_by_text("3 of 4 documents read.")).to_be_visible()
    expect(page.locator(".eg-unread")).to_contain_text("empty.txt")

    page.get_by_role("button", name="Ask this archive").click()
    ask(page, "What is the notice period for terminating the lease of 12 Harbour Street?")
    expect(page.locator(".eg-answer")).to_contain_text("six months")
    expect(page.locator(".eg-badge").first).to_have_text("✓ verified")
    expect(page.locator(".eg-gauges")).to_contain_text("tokens/s")

    page.get_by_role("button", name="Show page").first.click()
    expect(page.locator(".eg-page mark")).to_contain_text(NOTICE)

    with page.expect_download() as started:
        page.get_by_role("button", name="Markdown").click()
    exported = Path(started.value.path()).read_text(encoding="utf-8")
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
    page.get_by_role("button", name="Ask this archive").click()

    page.get_by_role("combobox", name="Documents").click()
    page.get_by_role("option", name=paper.name).click()
    page.keyboard.press("Escape")
    ask(page, "What is the measured mean lifetime of the muon?")
    expect(page.locator(".eg-meta").first).to_contain_text(f"asked of 1 document only: {paper.name}")
    expect(page.locator(".eg-source").first).to_contain_text(LIFETIME)

    page.get_by_role("button", name="Show page").first.click()
    image = page.locator(".st-key-cited_page img")
    expect(image).to_be_visible()
    assert image.evaluate("picture => picture.naturalWidth") == 1240


def test_a_matrix_is_made_filled_and_exported(page: Page) -> None:
    make_archive(page, "Matrix leases")
    send(page, LEASE)
    expect(page.get_by_role("button", name="Ask this archive")).to_be_visible()
    page.get_by_role("link", name="Matrix").click()
    page.get_by_role("textbox", name="Questions, one a line").fill("Notice | What is the notice period?")
    page.get_by_role("button", name="Make the matrix").click()
    said = page.get_by_text("1 cell:")
    expect(said).to_be_visible()
    expect(said).not_to_contain_text("not answered yet")
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV").click()
    table = Path(started.value.path()).read_text(encoding="utf-8-sig")
    assert table.startswith("Document,Notice,")
    assert LEASE.name in table


def choose(page: Page, kind: str) -> None:
    """Take another kind of question."""
    page.get_by_test_id("stButtonGroup").get_by_text(kind, exact=True).click()


def test_a_thread_a_list_a_comparison_and_a_summary(page: Page, tmp_path: Path) -> None:
    other = tmp_path / "lease-21.md"
    other.write_text(LEASE.read_text(encoding="utf-8").replace("12 Harbour", "21 Harbour"), encoding="utf-8")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    make_archive(page, "Kinds")
    send(page, LEASE, other)
    expect(page.get_by_text("All 2 documents read.")).to_be_visible()
    page.get_by_role("button", name="Ask this archive").click()

    box = page.get_by_placeholder("Ask a question")
    expect(box).to_be_focused()
    page.keyboard.type("What is the notice period for terminating the lease of 12 Harbour Street?")
    page.keyboard.press("Enter")
    expect(page.locator(".eg-answer")).to_contain_text("six months")
    page.get_by_role("button", name="Copy").click()
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
    page.get_by_role("button", name="Show page").first.click()
    expect(page.locator(".eg-page")).to_be_visible()

    choose(page, "Compare")
    both = page.get_by_placeholder("Ask both documents")
    both.fill("What is the notice period?")
    both.press("Enter")
    expect(page.locator(".eg-pairs")).to_contain_text("12")

    choose(page, "Summary")
    page.get_by_role("button", name="Summarise the whole archive").click()
    expect(page.locator(".eg-part")).to_have_count(2)
    expect(page.get_by_text("Extractive:")).to_be_visible()
