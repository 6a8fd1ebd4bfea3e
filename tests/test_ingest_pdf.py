"""PDF: pages, paragraphs, running lines, bookmarks, pages without text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from pdf_files import AES_PDF, assemble, make_pdf, page_content, stream
from pypdf import PdfWriter

from storage.ingest import ParsedDocument, ParseFailure, Parser


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as shared:
        yield shared


@pytest.fixture
def parse(parser: Parser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("storage.ingest.parser.can_recognise", lambda: False)

    def parse_bytes(data: bytes, name: str = "file.pdf") -> ParsedDocument:
        path = tmp_path / "input"
        path.write_bytes(data)
        return parser.parse(path, name)

    return parse_bytes


def contract_page(number: int, of: int) -> list[str]:
    return [
        "ACME Holding - Confidential",
        f"Clause {'ABCDEFGH'[number]} is about matter number {number * 7 + 3} and says so here in full.",
        f"It was agreed on day {number} of the month, by everyone who was in the room.",
        f"Page {number + 1} of {of}",
    ]


def test_wrapped_lines_join_to_paragraphs_and_broken_words_mend(parse):
    page = [
        "Either party may terminate this agree-",
        "ment on notice of thirty days. The rules are",
        "governed by the law of Norway, a well-",
        "known rule in trades of this kind and size.",
        "(a) Payment is due in ten days after the",
        "goods arrive.",
    ]
    assert parse(make_pdf([page])).text == (
        "Either party may terminate this agreement on notice of thirty days. The rules are governed by "
        "the law of Norway, a well-known rule in trades of this kind and size.\n\n(a) Payment is due in "
        "ten days after the goods arrive.\n"
    )


def test_pages_keep_their_numbers_and_tile_the_text(parse):
    document = parse(make_pdf([["First page says one."], ["Second page says two."], [], ["Fourth."]]))
    assert [page.number for page in document.pages] == [1, 2, 3, 4]
    assert all(page.text.endswith("\n") for page in document.pages)
    assert document.media_type == "application/pdf"


def test_running_headers_and_page_numbers_go_but_the_first_header_stays(parse):
    document = parse(make_pdf([contract_page(number, 6) for number in range(6)]))
    assert document.text.count("ACME Holding") == 1
    assert document.pages[0].text.startswith("ACME Holding")
    assert "Page " not in document.text
    assert all(f"matter number {number * 7 + 3}" in document.pages[number].text for number in range(6))


def test_bare_page_numbers_go(parse):
    document = parse(make_pdf([[f"Text {'xyzw'[n]} of this page goes here.", str(n + 11)] for n in range(4)]))
    assert not any(str(n + 11) in document.text for n in range(4))


def test_labels_that_count_with_the_pages_stay(parse):
    document = parse(make_pdf([[f"Case {n + 1}", f"Finding {'pqrst'[n]} was made here."] for n in range(5)]))
    assert all(f"Case {n + 1}" in document.pages[n].text for n in range(5))


def test_numbered_headings_are_kept_with_their_offsets(parse):
    document = parse(make_pdf([["4.2 Termination", "", "Either party may leave at any time it likes to."]]))
    offset, path = document.headings[0]
    assert path == "4.2 Termination"
    assert document.text[offset:].startswith("4.2 Termination")


def test_larger_type_gives_headings_and_the_title(parse):
    body = ["The muon is a heavy cousin of the electron and decays", "into it within two microseconds."]
    content = page_content(["The life of the muon"], size=20) + b" " + page_content(body, top=730)
    content += b" " + page_content(["What we did"], top=690, size=14) + b" " + page_content(body, top=670)
    document = parse(make_pdf([content]))
    assert document.title == "The life of the muon"
    assert [path for _, path in document.headings] == [
        "The life of the muon",
        "The life of the muon > What we did",
    ]
    assert document.text.split("\n\n")[0] == "The life of the muon"


def test_a_vertical_gap_parts_paragraphs(parse):
    first = [
        "This paragraph ends with a line as long as any of its",
        "other lines, and there is nothing else to tell it.",
    ]
    content = (
        page_content(first)
        + b" "
        + page_content(["Then the next one begins after a gap, as a line of", "its own."], 730)
    )
    document = parse(make_pdf([content]))
    assert len(document.text.strip().split("\n\n")) == 2


def test_bookmarks_become_heading_paths(parse):
    writer = PdfWriter(clone_from=io.BytesIO(make_pdf([["Alpha part", "Text."], ["Beta section", "Text."]])))
    top = writer.add_outline_item(title="Alpha part", page_number=0)
    writer.add_outline_item(title="Beta section", page_number=1, parent=top)
    out = io.BytesIO()
    writer.write(out)
    document = parse(out.getvalue())
    assert [path for _, path in document.headings] == ["Alpha part", "Alpha part > Beta section"]
    assert document.text[document.headings[1][0] :].startswith("Beta section")


def test_title_comes_from_the_metadata_unless_a_program_made_it_up(parse):
    assert parse(make_pdf([["Text here."]], title="Lease of 1 May")).title == "Lease of 1 May"
    assert parse(make_pdf([["Text here."]], title="Microsoft Word - x.doc"), "lease.pdf").title == "lease.pdf"


def test_an_image_page_is_reported_and_the_rest_is_read(parse):
    document = parse(make_pdf([["Readable words on page one."], None]))
    assert [page.needs_ocr for page in document.pages] == [False, True]
    assert document.warnings == ("page 2: image without text, needs OCR",)


def test_an_image_page_with_only_a_running_stamp_still_needs_ocr(parse):
    stamp = b"q 500 0 0 700 50 50 cm /Im1 Do Q " + page_content(["Downloaded from archive.example"])
    pdf = make_pdf([None, None, None]).replace(b"q 500 0 0 700 50 50 cm /Im1 Do Q", stamp)
    pdf = pdf.replace(b"/XObject << /Im1 4 0 R >>", b"/XObject << /Im1 4 0 R >> /Font << /F1 3 0 R >>")
    pdf = pdf.replace(b"/Length 32", b"/Length %d" % len(stamp))
    with pytest.raises(ParseFailure) as caught:
        parse(pdf)
    assert caught.value.status == "needs_ocr"


def test_only_image_pages_need_ocr(parse):
    with pytest.raises(ParseFailure) as caught:
        parse(make_pdf([None, None]))
    assert caught.value.status == "needs_ocr"
    assert caught.value.error == "All 2 pages are images without text"
    assert "python3 start.py setup --ocr" in caught.value.hint


def test_blank_pages_are_a_failure_of_their_own(parse):
    with pytest.raises(ParseFailure, match="contains no text") as caught:
        parse(make_pdf([[], []]))
    assert caught.value.status == "failed"


def test_aes_without_a_password_is_read(parse):
    assert parse(AES_PDF).text == "Secret clause here.\n"


@pytest.mark.parametrize("user_password", ["", "secret"])
def test_encrypted_files_open_only_without_a_password(parse, user_password):
    writer = PdfWriter(clone_from=io.BytesIO(make_pdf([["Secret clause here."]])))
    writer.encrypt(user_password, owner_password="owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    if user_password == "":
        assert "Secret clause" in parse(out.getvalue()).text
    else:
        with pytest.raises(ParseFailure, match="protected with a password"):
            parse(out.getvalue())


def test_the_whole_pages_of_a_truncated_pdf_are_recovered_with_a_warning(parse):
    whole = make_pdf([["One is here."], ["Two is here."], ["Three is here."]])
    document = parse(whole[: whole.index(b"Three is here") + 5])
    assert [page.text for page in document.pages[:2]] == ["One is here.\n", "Two is here.\n"]
    assert "damaged or incomplete" in document.warnings[0]


def test_a_pdf_truncated_before_its_first_page_fails_clearly(parse):
    with pytest.raises(ParseFailure, match="damaged or incomplete") as caught:
        parse(make_pdf([["One is here."]])[:300])
    assert "Download it again" in caught.value.hint


def test_bytes_before_the_header_do_not_matter(parse):
    assert "Hello there" in parse(b"\r\njunk\r\n" + make_pdf([["Hello there, reader."]])).text


def test_a_broken_page_does_not_lose_the_others(parse):
    pdf = make_pdf([["Good words on page one."], ["Bad page follows."]])
    at = pdf.rindex(b"<< /Length")
    document = parse(pdf[:at] + pdf[at:].replace(b"<< /Length", b"<< /Filter /FlateDecode /Length", 1))
    assert "Good words" in document.pages[0].text
    assert len(document.pages) == 2


def nested(kind: bytes, close: bytes, depth: int) -> bytes:
    return kind * depth + close * depth


def test_ten_thousand_nested_objects_end_in_words(parse):
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Deep " + nested(b"[", b"]", 10_000) + b" >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        stream(page_content(["Hello"])),
    ]
    with pytest.raises(ParseFailure) as caught:
        parse(assemble(objects))
    assert caught.value.status == "failed"
    assert "nested too deeply" in caught.value.error


def test_a_page_tree_of_ten_thousand_levels_ends_in_words(parse):
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    objects += [b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % (n + 3) for n in range(10_000)]
    objects += [b"<< /Type /Page /MediaBox [0 0 9 9] >>"]
    with pytest.raises(ParseFailure):
        parse(assemble(objects))


def test_a_page_tree_that_loops_ends(parse):
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 9 /Kids [2 0 R 2 0 R] >>"]
    with pytest.raises(ParseFailure):
        parse(assemble(objects))


def test_a_stream_bomb_does_not_take_the_machine(parse):
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        stream(b" " * 90_000_000, compress=True),
    ]
    with pytest.raises(ParseFailure):
        parse(assemble(objects))
