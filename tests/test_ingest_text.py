"""Text as the archive stores it: characters, encodings, broken words, headings, names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.ingest import ParseFailure, expand, parse, sanitize_name
from storage.ingest.builder import PART_CHARACTERS, TextBuilder, cut_into_parts
from storage.ingest.cleaning import clean, tidy_lines
from storage.ingest.decoding import decode
from storage.ingest.headings import find_headings
from storage.ingest.hyphens import join_hyphens


def test_cleaning_composes_characters_and_drops_what_cannot_be_seen():
    assert (
        clean("Cafe\u0301 of\ufb01ce co\u00adop\u200b a\u00a0b\x00\x07\r\nend\rnext")
        == "Café office coop a b\nend\nnext"
    )


def test_cleaning_drops_marks_that_reorder_shown_text():
    assert clean("user\u202e txt.exe\u2066!") == "user txt.exe!"


def test_cleaning_keeps_joiners_that_spell_words():
    assert clean("نمی\u200cخواهم") == "نمی\u200cخواهم"


def test_lone_surrogates_become_replacement_characters():
    assert clean("a\ud800b") == "a\ufffdb"


def test_tidy_lines_keeps_one_blank_line():
    assert tidy_lines("a  \n \n\t\n\nb") == "a\n\nb"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_wide_encodings_are_told(encoding):
    assert decode("Ein Vertrag über Äpfel".encode(encoding)) == ("Ein Vertrag über Äpfel", [])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("café and naïve résumé", "cp1252"),
        ("Договор вступает в силу с момента подписания обеими сторонами", "cp1251"),
        ("吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。", "cp932"),
    ],
)
def test_older_encodings_are_guessed_and_the_guess_is_said(text, encoding):
    decoded, warnings = decode(text.encode(encoding))
    assert decoded == text
    assert "guessed" in warnings[0]


def test_undecodable_bytes_are_replaced_and_counted():
    text, warnings = decode("Größe und Maß ".encode() * 3 + b"\xff\xfe bad \x80")
    assert text.count("\ufffd") == 3
    assert warnings == ["bytes that are not valid utf-8 replaced in 3 places"]


def test_binary_data_is_refused():
    with pytest.raises(ParseFailure, match="not text"):
        decode(bytes(range(256)) * 20)


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("the infor-\nmation is here", "the information\nis here"),
        ("a well-\nknown fact", "a well-known\nfact"),
        ("a wellknown man, well-\nknown", "a wellknown man, wellknown\n"),
        ("re-enter it, or re-\nenter it", "re-enter it, or re-enter\nit"),
        ("a Smith-\nJones case", "a Smith-Jones\ncase"),
        ("infor-\nmation.\n\nNew", "information.\n\nNew"),
        ("- item\n- item\n---\n", "- item\n- item\n---\n"),
    ],
)
def test_words_broken_at_line_ends_are_mended(broken, mended):
    assert join_hyphens(broken) == mended


def test_headings_are_told_by_their_form():
    text = (
        "4.2 Termination\n\nIt ends.\n\n12 Apr 2020 cash 50\n\nARTICLE IV\n\nAbstract\n\n3 apples were eaten."
    )
    assert [heading for _, _, heading in find_headings(text)] == ["4.2 Termination", "ARTICLE IV", "Abstract"]


def test_a_section_of_a_code_is_a_heading_whatever_code_it_is():
    text = "D.C. Code § 21-501 Definitions.\n\nAs used here.\n\nUnder § 3 the tenant pays what he owes."
    assert [heading for _, _, heading in find_headings(text)] == ["D.C. Code § 21-501 Definitions."]


PROSE = "The fever begins with chills and a headache, and after five days a rash may follow."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"Marburg fever (MHF)\n\n{PROSE}", ["Marburg fever (MHF)"]),
        (f"What are the symptoms?\n\n{PROSE}", ["What are the symptoms?"]),
        (f"Marburg fever\n\nJohn Smith\n\n{PROSE}\n\nTreatment\n\n{PROSE}", ["Marburg fever", "Treatment"]),
        (f"Dear Sir,\n\n{PROSE}", []),
        (f"It was late.\n\n{PROSE}", []),
        (f"and so on\n\n{PROSE}", []),
        (f"12.4 3.1 98\n\n{PROSE}", []),
        (f"Figure 3 The rash\n\n{PROSE}", []),
        (f"{PROSE}\nThe end of it\n\n{PROSE}", []),
        ("Bread\n\nMilk", []),
        (f"Bread\n\nMilk\n\nSalt\n\nFlour\n\n{PROSE}", []),
    ],
)
def test_in_plain_text_a_line_alone_over_prose_is_a_heading(text, found):
    assert [heading for _, _, heading in find_headings(text, unmarked=True)] == found
    assert list(find_headings(text)) == []


def test_a_line_alone_ranks_below_marked_headings(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text(f"ARTICLE IV\n\nThe rent\n\n{PROSE}\n\nThe deposit\n\n{PROSE}\n", "utf-8")
    paths = [heading for _, heading in parse(path, path.name).headings]
    assert paths == ["ARTICLE IV", "ARTICLE IV > The rent", "ARTICLE IV > The deposit"]


def test_heading_offsets_point_at_the_heading():
    text = "Some text.\n\n1. Introduction\n\nMore."
    assert [text[offset : offset + 3] for offset, _, _ in find_headings(text)] == ["1. "]


def test_builder_offsets_and_heading_paths():
    builder = TextBuilder(1)
    builder.heading(1, "Contract")
    builder.paragraph("x" * 30_000)
    builder.heading(2, "4.2 Termination")
    builder.row("a: 1")
    document = builder.build("text/plain", "a.txt")
    assert [path for _, path in document.headings] == ["Contract", "Contract > 4.2 Termination"]
    assert document.text[document.headings[1][0] :].startswith("4.2 Termination\n")
    assert len(document.pages) > 1
    assert all(page.text.endswith("\n") for page in document.pages)


def test_parts_end_at_paragraphs_and_lose_nothing():
    text = "".join(f"Paragraph {number} says something.\n\n" for number in range(3000))
    parts = list(cut_into_parts(text, PART_CHARACTERS))
    assert "".join(parts) == text
    assert all(part.endswith(".\n\n") and len(part) <= PART_CHARACTERS for part in parts)


def test_text_beyond_the_limit_is_refused():
    builder = TextBuilder(1)
    with pytest.raises(ParseFailure, match="more than 1 MB of text"):
        builder.lines("x" * 1_000_001)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\a.pdf", "Users/me/a.pdf"),
        ("/abs//./a.txt", "abs/a.txt"),
        ("a\x00\x1b[31m\u202eb\n.txt", "a[31mb .txt"),
        ("<i>x<i>.txt", "<i>x<i>.txt"),
        ("<b>x</b>.txt", "<b>x</b>.txt"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("bad\udcff.txt", "bad\ufffd.txt"),
    ],
)
def test_names_are_made_safe_and_markup_stays_text(name, shown):
    assert sanitize_name(name) == shown


def test_long_names_keep_their_end():
    name = sanitize_name("folder/" * 60 + "report.pdf")
    assert len(name) <= 200
    assert name.endswith("/report.pdf")
    long = sanitize_name("x" * 500 + ".docx")
    assert len(long) == 200
    assert long.endswith("….docx")


def test_expand_walks_folders_in_order_and_skips_hidden_files(tmp_path: Path):
    for name in ("b.txt", "a/c.txt", ".hidden", ".git/x", "~$lock.docx"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x")
    found = list(expand([tmp_path / "in"]))
    assert [name for _, name in found] == ["in/b.txt", "in/a/c.txt"]
    assert all(path.is_file() for path, _ in found)


def test_expand_does_not_follow_linked_folders(tmp_path: Path):
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path, tmp_path / "in" / "loop", target_is_directory=True)
    (tmp_path / "in" / "a.txt").write_text("x")
    assert [name for _, name in expand([tmp_path / "in"])] == ["in/a.txt"]


def test_expand_names_a_path_that_is_not_there(tmp_path: Path):
    with pytest.raises(ParseFailure, match="no file or folder"):
        list(expand([tmp_path / "missing"]))
