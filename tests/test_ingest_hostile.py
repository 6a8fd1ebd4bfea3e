"""Bad input: each kind ends in a status and a message of its own, and the next file is parsed."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pdf_files import make_pdf

from storage.ingest import ParsedDocument, ParseFailure, ParseLimits, Parser, parse

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as shared:
        yield shared


@pytest.fixture
def attempt(parser: Parser, tmp_path: Path):
    def attempt_bytes(data: bytes, name: str) -> ParsedDocument:
        path = tmp_path / "input"
        path.write_bytes(data)
        return parser.parse(path, name)

    return attempt_bytes


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "status", "words"),
    [
        ("empty.txt", b"", "failed", "empty (0 bytes)"),
        ("empty.pdf", b"", "failed", "empty (0 bytes)"),
        ("blank.txt", b" \n\t\r\n ", "failed", "contains no text"),
        ("mark.txt", b"\xef\xbb\xbf", "failed", "contains no text"),
        ("image.pdf", PNG, "failed", "PNG image, although its name ends in .pdf"),
        ("cut.png", PNG, "failed", "image is damaged"),
        ("text.png", b"just text", "failed", "name ends in .png, but the content is no scanned image"),
        ("text.pdf", b"just text", "failed", "name ends in .pdf, but the content is no PDF"),
        ("text.docx", b"just text", "failed", "name ends in .docx, but the content is no Word document"),
        (
            "old.doc",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50),
            "failed",
            "old or password-protected Office file",
        ),
        ("a.rtf", b"{\\rtf1 hello}", "failed", "RTF document"),
        ("a.docx", zipped({"word/document.xml": b"<broken"}), "failed", "Word document is damaged"),
        ("a.xlsx", zipped({"xl/workbook.xml": b"<x/>"}), "failed", "Excel workbook is damaged"),
        ("a.pptx", zipped({"ppt/presentation.xml": b"<x/>"}), "failed", "presentation is damaged"),
        (
            "a.ods",
            zipped({"content.xml": b"<x/>"}),
            "failed",
            "OpenDocument file, which Engram does not read",
        ),
        ("a.zip", b"PK\x03\x04" + bytes(200), "failed", "damaged or incomplete ZIP container"),
        ("a.bin", bytes(range(256)) * 40, "failed", "binary data"),
        ("a.epub", zipped({"META-INF/container.xml": b"<container/>"}), "failed", "names no contents"),
        ("deep.json", b"[" * 100_000, "failed", "JSON is nested too deeply"),
        ("deep2.json", b"[" * 500 + b"]" * 500, "failed", "JSON is nested too deeply"),
        ("deep.xml", b"<a>" * 5000 + b"t" + b"</a>" * 5000, "failed", "XML is nested too deeply"),
        ("bare.zip", zipped({"a.txt": b"hello"}), "failed", "ZIP archive, not a document"),
    ],
)
def test_bad_files_end_in_words(attempt, name, data, status, words):
    with pytest.raises(ParseFailure) as caught:
        attempt(data, name)
    assert caught.value.status == status
    assert words in caught.value.error
    assert caught.value.hint


def test_the_file_after_a_bad_one_is_read(attempt):
    with pytest.raises(ParseFailure):
        attempt(b"[" * 100_000, "deep.json")
    assert attempt(b"fine", "a.txt").text == "fine\n"


def test_deep_html_is_read(attempt):
    assert attempt(b"<html><div>" * 50_000 + b"deep", "a.html").text == "deep\n"


def laughs(use: bytes) -> bytes:
    entities = b'<!ENTITY e0 "lol">'
    for level in range(1, 10):
        entities += b'<!ENTITY e%d "%s">' % (level, b"&e%d;" % (level - 1) * 10)
    return b'<?xml version="1.0"?><!DOCTYPE r [' + entities + b"]>" + use


@pytest.mark.parametrize("use", [b"<r>&e9;</r>", b'<r a="&e9;">x</r>'])
def test_entity_bombs_are_refused(attempt, use):
    with pytest.raises(ParseFailure, match="entities expand beyond measure"):
        attempt(laughs(use), "a.xml")


def test_quadratic_entity_bombs_are_refused(attempt):
    big = (
        b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "'
        + b"x" * 100_000
        + b'">]><r><p>b</p>'
        + b"&a;" * 20_000
        + b"</r>"
    )
    with pytest.raises(ParseFailure, match="entities expand beyond measure"):
        attempt(big, "a.xml")


def test_external_entities_are_not_loaded_and_that_is_said(attempt, tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP-SECRET")
    data = f'<!DOCTYPE r [<!ENTITY x SYSTEM "{secret.as_uri()}"><!ENTITY co "ACME &amp; Co">]>'
    data += "<r><p>a &x; &co;</p></r>"
    document = attempt(data.encode(), "a.xml")
    assert document.text == "a ACME & Co\n"
    assert document.warnings == ("entities not loaded, their text is missing: x",)


def test_external_entities_in_docx_are_not_loaded(attempt, tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP-SECRET")
    xml = f'<!DOCTYPE r [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    xml += '<w:document xmlns:w="x"><w:p>&x;</w:p></w:document>'
    with pytest.raises(ParseFailure) as caught:
        attempt(zipped({"word/document.xml": xml.encode()}), "a.docx")
    assert "TOP-SECRET" not in caught.value.error


def test_a_docx_bomb_is_refused_before_it_is_expanded(attempt):
    with pytest.raises(ParseFailure, match="as ZIP bombs do"):
        attempt(zipped({"word/document.xml": b" " * 30_000_000}), "a.docx")


def test_a_huge_field_in_a_table_is_read(attempt):
    assert len(attempt(b'a,b\n1,"' + b"x" * 1_000_000 + b'"\n2,y\n', "a.csv").text) > 1_000_000


def test_invalid_utf8_is_read_with_a_warning(attempt):
    document = attempt("Größe, Maß, Öl und Fläche ".encode() + b"\xff\xfe end", "a.txt")
    assert document.text == "Größe, Maß, Öl und Fläche \ufffd\ufffd end\n"
    assert "2 places" in document.warnings[0]


@pytest.mark.parametrize(
    "name", ["../../<script>alert(1)</script>\x00\x1b[31m.txt", "a" * 5000 + ".txt", ".txt", "\udcff"]
)
def test_strange_names_do_no_harm(attempt, name):
    document = attempt(b"hello there", name)
    assert document.text == "hello there\n"
    assert not document.title.startswith("..")
    assert "\x00" not in document.title
    assert len(document.title) <= 200


def test_one_long_line_is_cut_into_parts_that_lose_no_word(attempt):
    text = "lorem ipsum dolor " * 120_000
    document = attempt(text.encode(), "a.txt")
    assert document.text.split() == text.split()
    assert max(len(page.text) for page in document.pages) <= 30_000


def test_more_text_than_the_limit_fails_clearly(tmp_path: Path):
    path = tmp_path / "long.txt"
    path.write_bytes(b"x" * 1_100_000)
    with pytest.raises(ParseFailure, match="more than 1 MB of text"):
        parse(path, "long.txt", ParseLimits(text_mb=1))


def test_a_file_larger_than_any_text_within_the_limit_is_not_even_read(tmp_path: Path):
    path = tmp_path / "long.txt"
    path.write_bytes(b"x")
    os.truncate(path, 5_000_000_000)
    with pytest.raises(ParseFailure, match="too large"):
        parse(path, "long.txt")


def test_a_file_that_needs_too_much_memory_fails_clearly(tmp_path: Path):
    path = tmp_path / "long.txt"
    path.write_bytes(b"word " * 40_000_000)
    with pytest.raises(ParseFailure, match="more than 200 MB of memory"):
        parse(path, "long.txt", ParseLimits(memory_mb=200))


def test_a_vanished_file_is_said_to_be_gone(tmp_path: Path):
    with pytest.raises(ParseFailure, match="no longer there"):
        parse(tmp_path / "gone.txt", "gone.txt")


def test_a_link_to_nothing_is_said_to_be_gone(tmp_path: Path):
    os.symlink(tmp_path / "gone.txt", tmp_path / "link.txt")
    with pytest.raises(ParseFailure, match="no longer there"):
        parse(tmp_path / "link.txt", "link.txt")


def test_folders_and_pipes_are_no_files(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(ParseFailure, match="a device or a pipe"):
        parse(tmp_path / "pipe.txt", "pipe.txt")
    with pytest.raises(ParseFailure, match="a folder"):
        parse(tmp_path, "folder")


def test_an_unreadable_file_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "locked.txt"
    path.write_text("x")

    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ParseFailure, match="not permitted"):
        parse(path, "locked.txt")


def test_a_name_does_not_choose_the_parser_of_a_pdf(attempt):
    assert attempt(make_pdf([["Words inside."]]), "notes.txt").media_type == "application/pdf"
