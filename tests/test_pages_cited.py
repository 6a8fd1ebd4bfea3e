"""The cited page: the quote found, marked in text, boxed in a PDF."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from page_seeds import PDF_QUOTE, QUOTE, SAMPLE, Seeds
from PIL import Image

from app.view import cited, matching, pdf_page
from app.view.page_image import page_image
from storage import Citation, Finding

PAPER = SAMPLE / "physics" / "muon-lifetime.pdf"


def page(text: str, span: tuple[int, int] | None, focus: int = 0) -> cited.CitedPage:
    return cited.CitedPage(1, "a.txt", 1, 1, text, span, focus, None)


def test_quote_is_found_across_line_breaks_hyphens_and_ligatures() -> None:
    text = "The oﬃce must be\nvac-\nated by noon."
    span = matching.find(text, "office must be vacated")
    assert span is not None
    assert text[slice(*span)] == "oﬃce must be\nvac-\nated"


def test_the_right_one_of_several_occurrences_is_taken() -> None:
    text = "six months. Later: six months."
    assert matching.occurrence_at(text, "six months", 19) == 1
    assert matching.find(text, "six months", 1) == (19, 29)


def test_nothing_matches_an_empty_quote() -> None:
    assert matching.find("text", "...") is None


def test_marked_text_is_escaped_on_both_sides_and_inside() -> None:
    text = "<b>a</b> <script>x</script> <i>c</i>"
    shown = cited.marked_html(page(text, (9, 27)))
    assert "&lt;b&gt;a&lt;/b&gt; <mark>&lt;script&gt;x&lt;/script&gt;</mark> &lt;i&gt;" in shown
    assert "<script" not in shown


def test_a_very_long_page_is_cut_around_the_quote() -> None:
    text = "a" * 50_000 + " needle " + "b" * 50_000
    shown = cited.marked_html(page(text, (50_001, 50_007)))
    assert "<mark>needle</mark>" in shown
    assert len(shown) < 3 * cited.CONTEXT_CHARACTERS


def test_a_quote_that_is_not_on_the_page_is_not_marked() -> None:
    assert cited.locate("The rent is due.", "The landlord lives in Rome.", 4) is None
    assert "<mark>" not in cited.marked_html(page("The rent is due.", None, 4))


def test_a_quote_running_over_the_page_end_is_marked_up_to_there() -> None:
    assert cited.locate("It ends here\n", "here\nand goes on", 8) == (8, 12)


def test_citation_of_a_text_document_leads_to_its_page() -> None:
    seeds = Seeds()
    archive = seeds.archive()
    document = seeds.text(archive, "a.txt", "First page.\n", "Second <page>: the answer is 42.\n")
    finding = seeds.finding(archive)
    seeds.cite(finding, document, "the answer is 42")
    found = load(seeds, finding.citations[0])
    assert found is not None
    assert (found.number, found.pages, found.original) == (2, 2, None)
    assert found.span is not None
    assert found.text[slice(*found.span)] == "the answer is 42"


def test_citation_of_a_removed_document_has_no_page() -> None:
    seeds = Seeds()
    finding = seeds.finding(seeds.archive())
    seeds.cite(finding, None, "gone")
    assert load(seeds, finding.citations[0]) is None


def test_citation_of_a_pdf_leads_to_its_original() -> None:
    seeds = Seeds()
    archive = seeds.archive()
    finding: Finding = seeds.finding(archive)
    seeds.cite(finding, seeds.paper(archive), PDF_QUOTE)
    found = load(seeds, finding.citations[0])
    assert found is not None
    assert found.original is not None
    assert found.original.is_file()
    assert found.number == 3


def load(seeds: Seeds, citation: Citation) -> cited.CitedPage | None:
    with seeds.database.session() as s:
        return cited.load_cited(s, seeds.files, citation)


def test_pdf_quote_is_boxed_where_it_stands() -> None:
    png, boxes = pdf_page.draw_page(PAPER, 3, PDF_QUOTE)
    plain, none = pdf_page.draw_page(PAPER, 3, "")
    assert boxes >= 1
    assert none == 0
    marked, bare = (Image.open(io.BytesIO(data)).convert("RGB") for data in (png, plain))
    assert marked.size == bare.size
    assert marked.width == pdf_page.WIDTH_PX
    assert pdf_page.MARKER in {colour for _, colour in marked.getcolors(1 << 24) or []}


def test_pdf_quote_that_is_not_on_the_page_gets_no_box() -> None:
    assert pdf_page.draw_page(PAPER, 1, "The landlord lives in Rome.")[1] == 0


def test_boxes_on_one_line_are_joined() -> None:
    boxes = [(10.0, 100.0, 50.0, 112.0), (51.0, 100.0, 90.0, 112.0), (10.0, 80.0, 40.0, 92.0)]
    assert pdf_page.join_lines(boxes) == [(10.0, 100.0, 90.0, 112.0), (10.0, 80.0, 40.0, 92.0)]


def test_page_image_is_drawn_by_a_child_process() -> None:
    image = page_image(str(PAPER), 3, PDF_QUOTE, 0)
    assert image is not None
    assert image.located
    assert image.png.startswith(b"\x89PNG")


@pytest.mark.parametrize("content", [b"", b"not a pdf", b"%PDF-1.7\n%broken"])
def test_a_broken_pdf_has_no_image(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(content)
    assert page_image(str(broken), 1, QUOTE, 0) is None


def test_a_page_that_does_not_exist_has_no_image() -> None:
    assert page_image(str(PAPER), 99, PDF_QUOTE, 0) is None
