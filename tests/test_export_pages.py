"""PDF and HTML, opened by other programs' readers: complete, linked, any script, nothing acts as markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pypdf
import pytest
from export_findings import finding

from storage.export import CitationRecord, FindingRecord, export_findings, pdf_fonts
from storage.export.pdf_file import Writer

EVERYTHING = (
    "Notice periods", "What we found.", "1. How long is the notice period?",
    "2. How long is the notice period?",
    "Six months [1], with a penalty [2].", "Six months [3], with a penalty [4].",
    "Partly supported by the cited quotes (confidence 72%)", "Ask counsel", "lease, urgent",
    "[1] legal/lease.pdf, page 3 verified verbatim", "[4] annex.docx, page 1 NOT verified",
    "1,200 of 1,500 tokens of an archive of 3 documents had been read",
    "Not read: scan.pdf (images without text, needs OCR)", "Model fingerprint ab12cd34",
    "Energy 41.3 J (RAPL package-0)", "Device cpu",
    "Archive state 1,200 of 1,500 tokens read, 3 documents", "legal/lease.pdf, page 3",
    "Appendix: quoted passages", "The notice period is six months.",
)  # fmt: skip
EVIL = (
    '<script>alert(1)</script> <img src=x onerror=a> &amp; "q" \x00\x0b\ud800 <font name="x"> <a href="#y">'
)


class Reader(HTMLParser):
    """Collects tags, attributes, words, link targets."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.links += [str(named["href"])] if "href" in named else []
        self.ids += [str(named["id"])] if "id" in named else []
        assert not any(name.startswith("on") or name == "src" for name in named)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def two(folder: Path, suffix: str) -> Path:
    noted = replace(finding(), note="Ask counsel", tags=("lease", "urgent"))
    path = folder / f"f.{suffix}"
    return export_findings([noted, finding()], path, title="Notice periods", introduction="What we found.")


def html_words(path: Path) -> tuple[Reader, str]:
    reader = Reader()
    reader.feed(path.read_text("utf-8"))
    return reader, " ".join(" ".join(reader.words).split())


def pdf_words(path: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(path).pages).split())


def test_html_says_everything_once_opened(tmp_path: Path) -> None:
    reader, words = html_words(two(tmp_path, "html"))
    flat = words.replace(" ]", "]").replace("[ ", "[").replace(" , with", ", with").replace("] .", "].")
    for part in EVERYTHING:
        assert part in flat
    assert "script" not in reader.tags
    assert {"h1", "h2", "blockquote", "table"} <= set(reader.tags)


def test_every_mark_of_the_html_leads_to_its_quote(tmp_path: Path) -> None:
    reader, _ = html_words(two(tmp_path, "html"))
    assert reader.ids == [f"quote-{number}" for number in (1, 2, 3, 4)]
    assert {link.removeprefix("#") for link in reader.links} == set(reader.ids)


def test_html_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = two(tmp_path, "html").read_text("utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text


def hostile() -> FindingRecord:
    return FindingRecord(
        EVIL, f"{EVIL} [1]", "supported", (CitationRecord(1, EVIL, 1, 0, 1, EVIL, True),), EVIL, note=EVIL,
        tags=(EVIL,), documents=(EVIL,), run={"model": EVIL},
        context={"tokens_read": 1, "tokens_total": 1, "not_read": [{"document": EVIL, "reason": EVIL}]},
    )  # fmt: skip


def test_nothing_in_a_document_becomes_html(tmp_path: Path) -> None:
    reader, words = html_words(
        export_findings([hostile()], tmp_path / "f.html", title=EVIL, introduction=EVIL)
    )
    assert not {"script", "img", "font"} & set(reader.tags)
    assert set(reader.links) == {"#quote-1"}
    assert "<script>alert(1)</script>" in words


def test_nothing_in_a_document_becomes_pdf_markup(tmp_path: Path) -> None:
    path = export_findings([hostile()], tmp_path / "f.pdf", title=EVIL, introduction=EVIL)
    assert "<script>alert(1)</script>" in pdf_words(path)


def test_pdf_says_everything(tmp_path: Path) -> None:
    path = two(tmp_path, "pdf")
    words = pdf_words(path)
    for part in EVERYTHING:
        assert part in words
    assert pypdf.PdfReader(path).metadata.title == "Notice periods"  # type: ignore[union-attr]


def test_every_mark_of_the_pdf_leads_to_its_quote(tmp_path: Path) -> None:
    document = pypdf.PdfReader(two(tmp_path, "pdf"))
    links = [note.get_object() for page in document.pages for note in page.get("/Annots", [])]
    assert len(links) == 8  # each mark and each line of the citations
    pages = [page.indirect_reference.idnum for page in document.pages]
    assert {pages.index(link["/Dest"][0].idnum) for link in links} <= set(range(len(pages)))
    assert len({tuple(map(str, link["/Dest"])) for link in links}) == 4


@pytest.mark.parametrize("text", ["Ποια είναι η διάρκεια;", "Какой срок?", "H₂O ± 0.3 µm ∞ ≤ 5 σ"])
def test_pdf_holds_greek_cyrillic_and_signs(tmp_path: Path, text: str) -> None:
    if any(pdf_fonts.load_fonts().name_for(letter) is None for letter in text if letter != " "):
        assert export_findings([FindingRecord("Q", text, "supported")], tmp_path / "f.pdf").stat().st_size
        return
    assert text in pdf_words(export_findings([FindingRecord("Q", text, "supported")], tmp_path / "f.pdf"))


def test_pdf_survives_every_script_and_says_what_it_could_not_draw(tmp_path: Path) -> None:
    text = "契約の期間 한국어 规则 שלום مرحبا ሀለ 😀 𝒳 ไทย"
    words = pdf_words(export_findings([FindingRecord(text, text * 40, "supported")], tmp_path / "f.pdf"))
    assert "契約の期間" in words
    assert "no font" in words
    assert "right to left" in words


def test_without_any_font_of_this_machine_the_pdf_is_still_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_fonts, "_folders", list)
    fonts = pdf_fonts.load_fonts.__wrapped__()
    assert fonts.text == "Engram-Vera"
    assert fonts.name_for("é") == "Engram-Vera"
    assert "HeiseiMin" in Writer(fonts).markup("の")
    assert Writer(fonts).markup("Ω<ሀ").count("&lt;") == 1


def test_a_very_long_answer_quote_and_name_run_over_pages(tmp_path: Path) -> None:
    long = "x" * 5_000 + " word" * 5_000
    record = FindingRecord(
        "Q", f"{long} [1]", "supported", (CitationRecord(1, long, 1, 0, 1, long, True),), long
    )
    path = export_findings([record], tmp_path / "f.pdf")
    assert len(pypdf.PdfReader(path).pages) > 5


def test_a_mark_without_citation_never_points_at_another_finding(tmp_path: Path) -> None:
    reader, words = html_words(export_findings([finding(), finding()], tmp_path / "f.html"))
    assert "Nothing else is said [7]." in words
    assert "Nothing else is said (7)." in words
    assert "#quote-7" not in reader.links
