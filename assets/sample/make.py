"""Makes the two sample documents that no text editor can write, a PDF and a DOCX, from `source/`.

Run by hand after changing a source: `.venv/bin/python assets/sample/make.py [path of chromium]`.
"""

import shutil
import sys
from datetime import datetime
from pathlib import Path

from docx import Document
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
STYLES = {"# ": "Title", "## ": "Heading 1"}


def write_pdf(source: Path, target: Path, chromium: str) -> None:
    """Prints an HTML page with Chromium."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_content(source.read_text(encoding="utf-8"))
        page.pdf(path=str(target), prefer_css_page_size=True)
        browser.close()


def write_docx(source: Path, target: Path) -> None:
    """Writes a paragraph for each line; `#` and `##` open a title and a heading."""
    document = Document()
    for line in source.read_text(encoding="utf-8").splitlines():
        prefix = next((mark for mark in STYLES if line.startswith(mark)), "")
        document.add_paragraph(line.removeprefix(prefix), style=STYLES.get(prefix, "Normal"))
    document.core_properties.author = "Engram sample archive"
    document.core_properties.created = document.core_properties.modified = datetime(2024, 3, 11)
    document.save(str(target))


if __name__ == "__main__":
    browser_path = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium") or "chromium"
    documents = HERE / "documents"
    write_pdf(HERE / "source/muon-lifetime.html", documents / "physics/muon-lifetime.pdf", browser_path)
    write_docx(
        HERE / "source/discharge-summary-ward-7.txt", documents / "medical/discharge-summary-ward-7.docx"
    )
