"""How lists and tables are set: coverage as a bar, columns that say something, outlines, tints of cells."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from page_driver import html_of, open_page, words_of
from page_seeds import Seeds
from test_pages_contrast import MODES, TEXT, THEME, contrast

from app.request import SUMMARY, Request
from app.view import charts, matrix_data
from app.view.colours import colours
from app.view.found import marked
from app.view.kinds import outline
from storage import CellData, QuestionData, matrices


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


def test_coverage_is_a_bar_that_says_its_shares(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    seeds.text(archive, "other.txt", "Other.\n")
    seeds.failed(archive, "broken.pdf", "Damaged")
    shown = html_of(open_page("library"))
    assert 'aria-label="2 read, 1 failed"' in shown
    assert re.findall(r'class="(eg-\w+)" style="flex-grow:(\d)"', shown) == [
        ("eg-good", "2"),
        ("eg-bad", "1"),
    ]
    assert "2 pages" in shown


def test_a_bar_of_one_share_needs_no_legend(seeds: Seeds) -> None:
    seeds.lease(seeds.archive())
    shown = html_of(open_page("library"))
    assert 'aria-label="1 read"' in shown
    assert "<i class=" not in shown


def test_an_empty_archive_has_no_bar(seeds: Seeds) -> None:
    seeds.archive()
    shown = html_of(open_page("library"))
    assert "eg-bar" not in shown
    assert "No documents yet." in shown


def test_remarks_have_a_column_only_where_there_are_some(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    assert "Remark" not in open_page("library").dataframe[0].proto.column_order
    seeds.failed(archive, "broken.pdf", "Damaged")
    assert "Remark" in open_page("library").dataframe[0].proto.column_order


def test_an_outline_leaves_out_the_title_that_all_share() -> None:
    assert outline(["Lease", "Lease > 5. Term", "Lease > 6. Repairs"]) == ["5. Term", "6. Repairs"]
    assert outline(["DISTRICT COURT"]) == ["DISTRICT COURT"]
    assert outline(["Trial > Methods", "Annex > Methods", "Annex"]) == ["Methods", "Annex"]
    assert outline([]) == []


def test_paragraphs_of_a_found_passage_stay_apart() -> None:
    said = marked("\n5. Term\n\nThe term\nis ten years.\n", {"term"})
    assert said == "5. <mark>Term</mark>\nThe <mark>term</mark> is ten years."


def test_points_have_room_above_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.view.colours.is_dark", lambda: False)
    figure = charts.points(pd.DataFrame({"a": [10.0, 20.0], "b": [390.0, 100.0]}), "a", "b")
    assert figure.layout.yaxis.range[1] > 400
    assert figure.layout.xaxis.range[0] == 0


def test_cells_are_tinted_by_their_status(seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.view.colours.is_dark", lambda: False)
    archive = seeds.archive()
    seeds.lease(archive)
    with seeds.database.session() as s:
        asked = [QuestionData("What is the rent?", "Rent"), QuestionData("What is the term?", "Term")]
        made = matrices.create_matrix(s, archive.id, "Leases", asked)
        sure, unsure = matrices.pending_cells(s, made.id)
        cells = [(sure.id, CellData("supported", "900")), (unsure.id, CellData("partly_supported", "ten"))]
        matrices.store_cells(s, cells, {"model": "tiny", "fingerprint": "f", "device": "cpu"})
    held = matrix_data.load(made.id)
    shown = matrix_data.tinted(held, held.table.documents).to_html()
    assert shown.count(f"color: {colours()['warn']}") == 1
    monkeypatch.setattr(matrix_data, "MOST_TINTED", 1)
    assert isinstance(matrix_data.tinted(held, held.table.documents), pd.DataFrame)


def test_a_list_and_a_summary_are_called_the_same_in_the_list_of_findings(seeds: Seeds) -> None:
    details = Request("", SUMMARY).details()
    seeds.finding(seeds.archive(), question="Summary of Leases", details=details)
    said = words_of(open_page("findings"))
    assert "quotes only" in said
    assert "summary · just now" in said
    assert "supported by the archive" not in said


@pytest.mark.parametrize(("dark", "scheme"), [(True, "dark"), (False, "light")])
def test_dialogs_and_menus_are_told_the_theme(
    dark: bool, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.view.frame.is_dark", lambda: dark)
    bodies = [element.proto.body for element in open_page("help").get("html")]
    assert f"<style>:root {{ color-scheme: {scheme}; }}</style>" in bodies


@pytest.mark.parametrize("mode", MODES)
def test_tints_of_cells_can_be_read(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.view.colours.is_dark", lambda: mode == "dark")
    ground = THEME[mode]["backgroundColor"]
    assert all(contrast(colours()[name], ground) >= TEXT for name in matrix_data.TINTS.values())
