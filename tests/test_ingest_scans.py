"""Scanned pages: read by text recognition where it is installed, listed with what to install where not."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from app_home import by_name, make_services
from pdf_files import make_pdf
from PIL import Image

from app import library
from app.worker import Worker
from storage.ingest import ParseFailure, Parser
from storage.ingest.readers.pdf_words import Box, Word
from storage.ingest.recognition import page_text

# A stand-in for rapidocr that "sees" two lines, or dies on a picture that is black in its corner.
FAKE = """
import os
import numpy as np
class Found:
    boxes = np.array([[[50, y], [300, y], [300, y + 24], [50, y + 24]] for y in (40, 66)], float)
    txts = ("The rent is 900 euros", "a month from May on.")
    scores = (0.99, 0.91)
class RapidOCR:
    def __init__(self, params): pass
    def __call__(self, picture):
        assert picture.ndim == 3 and picture.shape[2] == 3
        if not picture[0, 0].any():
            os._exit(3)
        return Found()
"""


@pytest.fixture
def with_recognition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "fake" / "rapidocr"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE)
    monkeypatch.setattr("storage.ingest.parser.can_recognise", lambda: True)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(package.parent), os.environ.get("PYTHONPATH", ""))))


@pytest.fixture
def without_recognition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.ingest.parser.can_recognise", lambda: False)


def picture(colour: int = 255, frames: int = 1) -> bytes:
    out = io.BytesIO()
    first, *rest = [Image.new("L", (400, 200), colour) for _ in range(frames)]
    first.save(
        out, "TIFF" if frames > 1 else "PNG", **({"save_all": True, "append_images": rest} if rest else {})
    )
    return out.getvalue()


def parsed(tmp_path: Path, data: bytes, name: str, **more):
    path = tmp_path / "input"
    path.write_bytes(data)
    with Parser(**more) as parser:
        return parser.parse(path, name)


@pytest.mark.usefixtures("with_recognition")
def test_scanned_pages_among_others_are_read_with_their_confidence(tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    pdf = make_pdf([["Typed words on page one."], None, ["4.2 Termination", "Notice is ninety days long."]])
    document = parsed(tmp_path, pdf, "mixed.pdf", on_page=lambda *page: told.append(page))
    assert document.pages[1].text == "The rent is 900 euros a month from May on.\n"
    assert [page.needs_ocr for page in document.pages] == [False, False, False]
    assert [page.confidence for page in document.pages] == [None, pytest.approx(0.951, abs=0.01), None]
    assert told == [("mixed.pdf", 2, 3)]
    assert "1 page was read by text recognition (confidence 0.95" in document.warnings[0]
    offset, heading = document.headings[0]
    assert document.text[offset:].startswith(heading)


@pytest.mark.usefixtures("with_recognition")
def test_an_image_file_is_a_document_of_its_frames(tmp_path: Path):
    assert "900 euros" in parsed(tmp_path, picture(), "scan.png").text
    assert len(parsed(tmp_path, picture(frames=3), "fax.tiff").pages) == 3


@pytest.mark.usefixtures("with_recognition")
def test_a_page_that_breaks_the_recogniser_stays_unread(tmp_path: Path):
    with pytest.raises(ParseFailure) as caught:
        parsed(tmp_path, picture(colour=0), "scan.png")
    assert caught.value.status == "needs_ocr"


@pytest.mark.usefixtures("without_recognition")
def test_without_recognition_a_scan_says_what_to_install(tmp_path: Path):
    with pytest.raises(ParseFailure) as caught:
        parsed(tmp_path, picture(), "scan.png")
    assert caught.value.status == "needs_ocr"
    assert "python3 start.py setup --ocr" in caught.value.hint


@pytest.mark.usefixtures("with_recognition")
def test_an_archive_remembers_which_pages_were_recognised(tmp_path: Path):
    from storage import recognised

    services = make_services(tmp_path)
    archive = library.create_archive(services, "Scans")
    (tmp_path / "two.pdf").write_bytes(make_pdf([["Typed words on page one."], None]))
    library.add_files(services, archive, [tmp_path / "two.pdf"])
    Worker(services).run_until_idle()
    row = by_name(services, archive)["two.pdf"]
    assert row.status == "ready"
    with services.database.session() as s:
        assert recognised.confidence(s, row.id, 1) is None
        assert recognised.confidence(s, row.id, 2) == pytest.approx(0.951, abs=0.01)
    library.remove_document(services, row.id)
    with services.database.session() as s:
        assert recognised.confidence(s, row.id, 2) is None


def word(text: str, left: float, top: float, width: float = 100) -> Word:
    return Word(text, Box(left, -top - 10, left + width, -top))


def test_recognised_columns_are_read_one_after_the_other():
    words = [word("Title over both columns", 0, 0, 260)]
    words += [word(f"left {n} goes on", 0, 40 + 12 * n, 110) for n in range(5)]
    words += [word(f"right {n} goes on", 150, 43 + 12 * n, 110) for n in range(5)]
    text = page_text(words)
    assert text.index("left 4") < text.index("right 0")
    assert text.startswith("Title over both columns")


def test_recognised_tables_name_their_columns():
    rows = [("Event", "Placebo", "Dose"), ("Headache", "4", "7"), ("Cough", "1", "12"), ("Nausea", "2", "3")]
    words = [
        word(cell, 100 * column, 15 * line, 40)
        for line, row in enumerate(rows)
        for column, cell in enumerate(row)
    ]
    assert "Event: Cough; Placebo: 1; Dose: 12" in page_text(words)
