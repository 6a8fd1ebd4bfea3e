"""Archives: named, described, tagged, deleted and brought back, renewed, compared, backed up."""

from __future__ import annotations

import zipfile
from pathlib import Path

from desk import Desk
from playwright.sync_api import Page, expect
from steps import LEASE, OTHER_LEASE, ask, cell, click_table, go_to_ask, payload, press, settle, visit

NAME_COLUMN = 2  # of the documents' table, after the box to tick and the state


def manage(page: Page, entry: str) -> None:
    """An entry of the menu of the archive."""
    press(page, "Manage")
    press(page, entry)


def tick(page: Page, row: int) -> None:
    """Select a document."""
    click_table(page, 16, row)
    expect(page.get_by_text("1 selected")).to_be_visible()
    settle(page)


def test_an_archive_is_renamed_described_and_its_documents_tagged(page: Page, desk: Desk) -> None:
    archive = desk.archive("Old name", LEASE)
    visit(page, "Library", archive)
    manage(page, "Rename…")
    dialog = page.get_by_test_id("stDialog")
    dialog.get_by_label("Name", exact=True).fill("Harbour Street")
    press(page, "Rename", dialog)
    expect(page.get_by_role("combobox", name="Archive")).to_have_value("Harbour Street")

    manage(page, "Description and tags…")
    dialog.get_by_label("Description", exact=True).fill("Leases of the harbour.")
    dialog.get_by_label("Tags, separated by commas").fill("property, current")
    press(page, "Save", dialog)
    expect(page.get_by_text("Leases of the harbour. #property #current")).to_be_visible()

    tick(page, 0)
    press(page, "Change")
    press(page, "Tags…")
    dialog.get_by_label("Tags, separated by commas").fill("signed")
    press(page, "Save", dialog)
    expect(dialog).to_have_count(0)
    expect(page.get_by_test_id("stDataFrame")).to_contain_text("signed")


def test_what_was_removed_or_deleted_comes_back(page: Page, desk: Desk) -> None:
    archive = desk.archive("Coming back", LEASE, OTHER_LEASE)
    visit(page, "Library", archive)
    tick(page, 0)
    press(page, "Remove")
    press(page, "Remove", page.get_by_test_id("stDialog"))
    expect(page.get_by_text("The one document was read.")).to_be_visible()
    expect(page.get_by_text("1 selected")).to_have_count(0)
    press(page, "Bring back 1 removed document")
    expect(page.get_by_text("All 2 documents read.")).to_be_visible()

    manage(page, "Delete…")
    press(page, "Delete archive", page.get_by_test_id("stDialog"))
    back = page.get_by_role("button", name="Bring back Coming back")
    expect(back).to_be_visible()
    expect(page.get_by_role("combobox", name="Archive")).not_to_have_value("Coming back")
    settle(page)
    back.click()
    expect(back).to_have_count(0)
    expect(page.get_by_role("combobox", name="Archive")).to_have_value("Coming back")
    expect(page.get_by_text("All 2 documents read.")).to_be_visible()


def test_a_new_version_takes_the_place_of_the_old(page: Page, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "offer.txt").write_text("The price of the boiler is 4,000 euros.\n", encoding="utf-8")
    archive = desk.archive("Offers", tmp_path / "offer.txt", LEASE)
    visit(page, "Library", archive)
    tick(page, 0)
    press(page, "Change")
    press(page, "New version…")
    dialog = page.get_by_test_id("stDialog")
    renewed = payload("offer v2.txt", b"The price of the boiler is 3,600 euros.\n")
    dialog.locator('input[type="file"]').set_input_files([renewed])
    press(page, "Replace", dialog)
    expect(dialog).to_have_count(0)
    desk.rest(archive)
    expect(page.get_by_text("All 2 documents read.")).to_be_visible()
    expect(cell(page, NAME_COLUMN, 0)).to_have_text("offer.txt")
    go_to_ask(page)
    ask(page, "What is the price of the boiler?")
    expect(page.locator(".eg-source").first).to_contain_text("3,600 euros")


def test_near_duplicates_are_shown(page: Page, desk: Desk, tmp_path: Path) -> None:
    copied = tmp_path / "copy of the lease.md"
    copied.write_text(LEASE.read_text("utf-8").replace("Ostrava", "Moravia"), encoding="utf-8")
    archive = desk.archive("Twice", LEASE, copied, OTHER_LEASE)
    visit(page, "Library", archive)
    manage(page, "Find near duplicates")
    found = page.get_by_test_id("stExpander").filter(has_text="Near duplicates: 1 pair")
    expect(found).to_be_visible()
    settle(page)
    found.get_by_text("Near duplicates: 1 pair").click()
    expect(found.get_by_text(f"alike: {LEASE.name} and {copied.name}")).to_be_visible()


def test_a_backup_becomes_an_archive_of_its_own(page: Page, desk: Desk, tmp_path: Path) -> None:
    archive = desk.archive("Kept safe", LEASE)
    desk.ask(archive, "What is the deposit?")
    visit(page, "Library", archive)
    manage(page, "Back up…")
    file, dialog = tmp_path / "leases.engram.zip", page.get_by_test_id("stDialog")
    dialog.get_by_label("File", exact=True).fill(str(file))
    press(page, "Back up", dialog)
    expect(dialog).to_have_count(0)
    desk.rest(archive)
    assert zipfile.ZipFile(file).testzip() is None

    manage(page, "Restore a backup…")
    dialog.get_by_label("File", exact=True).fill(str(file))
    press(page, "Restore", dialog)
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("combobox", name="Archive")).to_have_value("Kept safe (2)")
    expect(page.get_by_text("The one document was read.")).to_be_visible()
    settle(page)
    page.get_by_role("link", name="Findings").click()
    expect(page.get_by_role("button", name="What is the deposit?")).to_be_visible()
