"""Tables: a cell's row says which row and which column it belongs to, in every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pdf_files import escape, make_pdf, page_content

from storage.ingest import ParsedDocument, Parser
from storage.ingest.cleaning import raised
from storage.ingest.tables import count_header_rows

COLUMNS = (70, 200, 290, 380)
EVENTS = [
    ["Event", "Placebo", "5 mg", "10 mg"],
    ["Headache", "4", "7", "9"],
    ["Dry cough", "1", "", "12"],
    ["Dizziness", "3", "3", "5"],
]


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as shared:
        yield shared


@pytest.fixture
def parse(parser: Parser, tmp_path: Path):
    def parse_bytes(data: bytes, name: str = "a.pdf") -> ParsedDocument:
        path = tmp_path / "input"
        path.write_bytes(data)
        return parser.parse(path, name)

    return parse_bytes


def placed(rows: Sequence[Sequence[str]], top: float = 700, pitch: float = 16) -> bytes:
    shown = [
        f"1 0 0 1 {x} {top - number * pitch:.0f} Tm ({escape(cell)}) Tj"
        for number, row in enumerate(rows)
        for x, cell in zip(COLUMNS, row, strict=False)
        if cell
    ]
    return ("BT /F1 10 Tf " + "\n".join(shown) + " ET").encode("cp1252")


def ruled(columns: Sequence[float], ys: Sequence[float]) -> bytes:
    lines = [f"{columns[0]} {y} m {columns[-1]} {y} l S" for y in ys]
    lines += [f"{x} {ys[0]} m {x} {ys[-1]} l S" for x in columns]
    return ("q 0.5 w " + " ".join(lines) + " Q ").encode()


PROSE = [
    "The trial ran for twelve weeks and nobody left it early, as the protocol",
    "had foreseen. Pressure was measured three times while seated each week.",
]


def test_a_pdf_table_without_lines_names_its_columns(parse):
    page = page_content(PROSE) + b" " + placed(EVENTS) + b" " + page_content(PROSE, top=600)
    text = parse(make_pdf([page])).text
    assert "Event: Headache; Placebo: 4; 5 mg: 7; 10 mg: 9\n" in text
    assert "Event: Dry cough; Placebo: 1; 10 mg: 12\n" in text
    assert text.count("twelve weeks and nobody left it early, as the protocol had foreseen.") == 2


def test_lines_of_a_pdf_table_join_wrapped_cells(parse):
    words = [
        ["Arm", "Patients", "Change"],
        ["Placebo", "112", "-2.1"],
        ["Cardelin with a", "109", "-10.4"],
        ["long name", "", ""],
    ]
    lines = ruled([60, 190, 280, 370], [715, 695, 679, 642])
    text = parse(make_pdf([page_content(PROSE) + b" " + lines + placed(words)])).text
    assert "Arm: Placebo; Patients: 112; Change: -2.1\n" in text
    assert "Arm: Cardelin with a long name; Patients: 109; Change: -10.4\n" in text


def test_two_columns_of_prose_are_no_table(parse):
    left = ["The tenant shall leave the premises", "clean and in good repair, and return", "all keys then."]
    right = ["The landlord returns the deposit to", "the tenant within thirty days of that", "day in full."]
    rows = [[one, "", other] for one, other in zip(left, right, strict=True)]
    text = parse(make_pdf([placed(rows, pitch=12)])).text
    assert ";" not in text
    assert "|" not in text


def test_a_contents_page_is_no_table(parse):
    rows = [[f"Chapter {n} ............", "", "", str(n * 7)] for n in range(1, 6)]
    assert "Chapter 2 ............" in parse(make_pdf([placed(rows)])).text


def test_the_mark_of_a_footnote_is_set_off_and_powers_are_kept():
    assert raised("as the protocol demands", "1") == " [1]"
    assert raised("the end.", "2") == " [2]"
    assert raised("10", "-3") == "^-3"
    assert raised("a flux of 4 m", "2") == "^2"


def test_a_raised_figure_in_a_pdf_is_told_from_the_number_before_it(parse):
    page = (
        b"BT /F1 11 Tf 1 0 0 1 60 700 Tm (Results are in Table 2.) Tj /F1 7 Tf 1 0 0 1 172 704 Tm (1) Tj"
        b" /F1 11 Tf 1 0 0 1 60 680 Tm (Nothing else was found.) Tj ET"
    )
    assert "Table 2. [1]" in parse(make_pdf([page])).text


def test_captions_are_no_headings(parse):
    page = page_content(["Table 2. Adverse events"], size=14) + b" " + page_content(PROSE, top=740)
    assert parse(make_pdf([page])).headings == ()


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([["Event", "5 mg"], ["Headache", "4"]], 1),
        ([["", "2023", "2024"], ["Sales", "4", "7"], ["Costs", "3", "3"]], 1),
        ([["", "Dose", "Dose"], ["Arm", "first", "last"], ["A", "1", "2"], ["B", "3", "4"]], 2),
        ([["1", "2"], ["3", "4"]], 0),
        ([["Name", "City"], ["Berg", "Oslo"]], 0),
        ([["Name", "City", "Trade"], ["Berg", "Oslo", "smith"]], 1),
        ([["only", "row"]], 0),
    ],
)
def test_headers_are_told_by_the_figures_below_them(rows, count):
    assert count_header_rows(rows) == count


def test_a_table_without_header_marks_names_its_columns(parse):
    html = "<table>" + "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in EVENTS)
    assert "Event: Dizziness; Placebo: 3; 5 mg: 3; 10 mg: 5" in parse(html.encode(), "a.html").text
