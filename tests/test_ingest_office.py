"""Excel workbooks and PowerPoint presentations: rows that name their columns, slides as pages."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime

import openpyxl
import pptx
import pytest
from parsing_home import parse, parser
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from storage.ingest import ParseFailure

__all__ = ["parse", "parser"]  # fixtures


def workbook(*sheets: tuple[str, list[list[object]]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return book


def saved(document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def repacked(data: bytes, change: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change.get(name, old.read(name)))
    return out.getvalue()


RENTS = [
    ["Tenant", "Start", "Rent", "Share"],
    ["Harbour Café", date(2024, 3, 1), 1250.5, 0.125],
    ["Nordlys AS", datetime(2023, 7, 15, 9, 30), 980, 0.4],
]


def test_a_row_of_a_sheet_names_its_columns(parse):
    document = parse(saved(workbook(("Rents", RENTS), ("Notes", [["Signed in Bergen"]]))), "rents.xlsx")
    assert "Tenant: Harbour Café; Start: 2024-03-01; Rent: 1250.5; Share: 0.125" in document.text
    assert "Start: 2023-07-15 09:30; Rent: 980" in document.text
    assert [path for _, path in document.headings] == ["Rents", "Notes"]
    assert len(document.pages) == 2
    assert "Signed in Bergen" in document.pages[1].text


def test_per_cent_and_currency_are_read_as_shown(parse):
    book = workbook(("S", [["Item", "Tax", "Price"], ["Lamp", 0.25, 19.9]]))
    book["S"]["B2"].number_format = "0.0%"
    book["S"]["C2"].number_format = "[$€-407] #,##0.00"
    assert "Item: Lamp; Tax: 25 %; Price: € 19.9" in parse(saved(book), "a.xlsx").text


def test_titles_above_a_table_and_blank_rows_between_tables(parse):
    rows = [
        ["Energy report 2025"],
        [],
        ["Month", "kWh"],
        ["January", 410],
        [],
        ["February", 380],
        [],
        ["Site", "Meter", "Owner"],
        ["Oslo", 7, "Berg"],
        ["Bodø", 9, "Dahl"],
    ]
    text = parse(saved(workbook(("E", rows))), "a.xlsx").text
    assert "Energy report 2025\n" in text
    assert "Month: January; kWh: 410" in text
    assert "Month: February; kWh: 380" in text
    assert "Site: Bodø; Meter: 9; Owner: Dahl" in text


def test_a_header_over_several_columns_counts_for_each(parse):
    book = workbook(
        ("S", [["", "2024", "", "2025", ""], ["Plant", "gas", "oil", "gas", "oil"], ["North", 1, 2, 3, 4]])
    )
    book["S"].merge_cells("B1:C1")
    book["S"].merge_cells("D1:E1")
    text = parse(saved(book), "a.xlsx").text
    assert "2024 / gas: 1; 2024 / oil: 2; 2025 / gas: 3; 2025 / oil: 4" in text


def test_formulas_without_a_stored_result_are_shown_and_said(parse):
    document = parse(saved(workbook(("S", [["a", "b"], [1, 2], [3, "=A2+B2"]]))), "a.xlsx")
    assert "a: 3; b: =A2+B2" in document.text
    assert "no stored result" in document.warnings[0]


def test_a_formula_with_a_stored_result_gives_the_result(parse):
    data = saved(workbook(("S", [["a", "b"], [1, "=A2*2"]])))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    for empty in (b"<v></v>", b"<v />", b"<v/>"):
        sheet = sheet.replace(empty, b"<v>2</v>")
    document = parse(repacked(data, {"xl/worksheets/sheet1.xml": sheet}), "a.xlsx")
    assert "a: 1; b: 2" in document.text
    assert document.warnings == ()


def test_a_hidden_sheet_is_read_and_said(parse):
    book = workbook(("Open", [["x", "y"], [1, 2]]), ("Secret", [["x", "y"], [3, 4]]))
    book["Secret"].sheet_state = "hidden"
    document = parse(saved(book), "a.xlsx")
    assert "x: 3; y: 4" in document.text
    assert "'Secret' is hidden" in document.warnings[0]


def test_a_cell_at_the_end_of_the_sheet_costs_nothing(parse):
    book = workbook(("S", [["x", "y"], [1, 2]]))
    book["S"].cell(row=100_000, column=3, value="far away")
    assert "far away" in parse(saved(book), "a.xlsx").text


@pytest.mark.parametrize(
    ("part", "content", "words"),
    [
        ("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row", "workbook is damaged"),
        ("xl/workbook.xml", b"no xml at all", "workbook is damaged"),
        (
            "xl/worksheets/sheet1.xml",
            b'<!DOCTYPE a [<!ENTITY e "lol">]><worksheet>&e;</worksheet>',
            "entities",
        ),
        ("xl/worksheets/sheet1.xml", b" " * 60_000_000, "ZIP bombs"),
    ],
)
def test_broken_and_hostile_workbooks_end_in_words(parse, part, content, words):
    data = saved(workbook(("S", [["x", "y"], [1, 2]])))
    with pytest.raises(ParseFailure, match=words) as caught:
        parse(repacked(data, {part: content}), "a.xlsx")
    assert caught.value.status == "failed"
    assert caught.value.hint


def test_an_empty_workbook_has_no_text(parse):
    with pytest.raises(ParseFailure, match="contains no text"):
        parse(saved(workbook(("S", []))), "a.xlsx")


def presentation() -> pptx.Presentation:
    show = pptx.Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text = "Quarterly results"
    first.placeholders[1].text = "Sales rose\nCosts fell"
    first.notes_slide.notes_text_frame.text = "Mention the new plant."
    second = show.slides.add_slide(show.slide_layouts[5])
    second.shapes.title.text = "Plants"
    table = second.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for row, cells in enumerate((("Plant", "Output", "Staff"), ("Oslo", "41", "120"), ("Bodø", "17", "35"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    return show


def test_slides_are_pages_with_titles_tables_and_notes(parse):
    document = parse(saved(presentation()), "talk.pptx")
    assert [page.number for page in document.pages] == [1, 2]
    assert document.title == "Quarterly results"
    assert "Sales rose\nCosts fell" in document.pages[0].text
    assert "Notes: Mention the new plant." in document.pages[0].text
    assert "Plant: Bodø; Output: 17; Staff: 35" in document.pages[1].text
    assert [path for _, path in document.headings] == ["Quarterly results", "Plants"]


def test_a_chart_gives_its_figures(parse):
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    data = CategoryChartData()
    data.categories = ["North", "South"]
    data.add_series("2024", (4.5, 6))
    data.add_series("2025", (5, None))
    place = (Inches(1), Inches(1), Inches(5), Inches(4))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
    text = parse(saved(show), "a.pptx").text
    assert "category: North; 2024: 4.5; 2025: 5" in text
    assert "category: South; 2024: 6\n" in text


def test_a_broken_presentation_ends_in_words(parse):
    data = repacked(saved(presentation()), {"ppt/slides/slide1.xml": b"<p:sld"})
    with pytest.raises(ParseFailure, match="presentation is damaged"):
        parse(data, "a.pptx")


@pytest.mark.parametrize("name", ["a.xlsx", "a.pptx"])
def test_text_under_an_office_name_is_refused(parse, name):
    with pytest.raises(ParseFailure, match="but the content is no"):
        parse(b"just words", name)
