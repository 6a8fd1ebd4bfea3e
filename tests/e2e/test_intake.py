"""What comes in beside plain documents: scans, tables, mail, other scripts. Uploaded, asked, cited."""

from __future__ import annotations

import io
from email.message import EmailMessage

import openpyxl
from pdf_files import make_pdf
from playwright.sync_api import Page, expect
from steps import LEASE, ask, cell, choose, go_to_ask, make_archive, payload, press, send, settle, show_page

ARABIC = "يلتزم المستأجر بترك العقار في حالة جيدة ويعيد المالك مبلغ التأمين خلال شهر واحد."
DEPOSIT = "التأمين"
CHINESE = "承租人应当保持房屋完好，出租人应在一个月内退还押金，并支付相应的利息。"


def prices() -> bytes:
    """A table of spare parts."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (("Part", "Price", "Stock"), ("Oil filter", 41, 7), ("Drive belt", 68, 2), ("Gasket", 12, 90)):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def mail() -> bytes:
    """A mail about a crane."""
    message = EmailMessage()
    message["From"], message["To"] = "Ada Holm <ada@example.org>", "yard@example.org"
    message["Subject"], message["Date"] = "Delivery of the crane", "Mon, 04 May 2026 09:00:00 +0000"
    message.set_content("Good morning,\n\nThe crane will be delivered to the yard on 18 June 2026.\n\nAda\n")
    return message.as_bytes()


def test_a_scan_is_listed_with_what_to_install(page: Page) -> None:
    make_archive(page, "Scans")
    send(page, payload("scan.pdf", make_pdf([None, None])), LEASE)
    expect(page.get_by_text("1 of 2 documents read.")).to_be_visible()
    unread = page.locator(".eg-unread")
    expect(unread).to_contain_text("scan.pdf")
    expect(unread).to_contain_text("All 2 pages are images without text")
    expect(unread).to_contain_text("python3 start.py setup --ocr")
    expect(cell(page, 1, 0)).to_contain_text("needs OCR")
    go_to_ask(page)
    expect(page.get_by_text("Not read: scan.pdf")).to_be_visible()


def test_a_row_of_a_table_and_a_mail_are_cited(page: Page) -> None:
    make_archive(page, "Yard")
    send(page, payload("prices.xlsx", prices()), payload("crane.eml", mail()))
    expect(page.get_by_text("All 2 documents read.")).to_be_visible()
    go_to_ask(page)
    ask(page, "What is the price of the drive belt?")
    source = page.locator(".eg-source").first
    expect(source).to_contain_text("prices.xlsx")
    expect(source).to_contain_text("Part: Drive belt; Price: 68; Stock: 2")
    press(page, "New question")
    expect(page.locator(".eg-question")).to_have_count(0)
    settle(page)
    ask(page, "When will the crane be delivered to the yard?")
    expect(source).to_contain_text("crane.eml")
    expect(source).to_contain_text("18 June 2026")
    expect(show_page(page)).to_contain_text("Ada Holm")


def test_other_scripts_are_named_found_and_written_their_own_way(page: Page) -> None:
    make_archive(page, "Other scripts")
    send(page, payload("عقد.txt", ARABIC.encode()), payload("合同.txt", CHINESE.encode()))
    expect(page.get_by_text("All 2 documents read.")).to_be_visible()
    expect(page.get_by_text("Languages: Arabic (1), Chinese (1).")).to_be_visible()
    expect(page.get_by_text("do not rely on the ranking")).to_be_visible()
    go_to_ask(page)
    choose(page, "Everything about")
    box = page.get_by_placeholder("Name what it is about")
    quote = page.locator(".eg-quote").first
    box.fill(DEPOSIT)
    box.press("Enter")
    expect(quote.locator("mark")).to_have_text(DEPOSIT)
    expect(quote).to_contain_text(ARABIC)
    expect(quote).to_have_css("unicode-bidi", "plaintext")
    settle(page)
    box.fill("退还押金")
    box.press("Enter")
    expect(page.locator(".eg-question")).to_have_text("退还押金")
    expect(quote).to_contain_text(CHINESE)
