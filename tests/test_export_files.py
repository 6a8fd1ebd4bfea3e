"""Exporting to a file: formats, JSON round trip, stored findings, errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from export_findings import finding
from storage_rows import add_archive, new_database

from storage import CitationData, InvalidInputError, NotFoundError, StorageError, findings
from storage.export import FORMATS, SCHEMA, FindingRecord, export_findings, load_findings, to_record


def test_json_round_trip(tmp_path: Path) -> None:
    records = [finding(), FindingRecord("Größe? 漢字 \"'<b>", "", "not_found")]
    path = export_findings(records, tmp_path / "findings.json")
    assert load_findings(path) == records


def test_json_says_its_schema_and_keeps_the_keys_of_ask(tmp_path: Path) -> None:
    content = json.loads(export_findings([finding()], tmp_path / "f.json").read_text(encoding="utf-8"))
    assert content["schema"] == SCHEMA == "engram.findings/1"
    item = content["findings"][0]
    assert {"question", "answer", "status", "confidence", "citations", "context", "run"} <= set(item)
    assert set(item["citations"][0]) == {
        "number", "document", "page", "start", "end", "quote", "verified", "score", "recognised",
        "recognised_confidence",
    }  # fmt: skip


def test_json_survives_lone_surrogates(tmp_path: Path) -> None:
    path = export_findings([FindingRecord("a\ud800b 😀", "x", "failed")], tmp_path / "f.json")
    assert load_findings(path)[0].question == "a\ufffdb 😀"


@pytest.mark.parametrize("content", ['{"schema": "other/1", "findings": []}', "[]", "{"])
def test_other_json_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(content)
    with pytest.raises(InvalidInputError):
        load_findings(tmp_path / "f.json")


def test_stored_findings_export_as_they_are(tmp_path: Path) -> None:
    with new_database(tmp_path) as db:
        with db.session() as s:
            row = findings.create_finding(s, add_archive(s, "Leases").id, None, "How long?", ["a.txt"])
            findings.set_citations(s, row.id, [CitationData(1, None, "a.txt", 2, 3, 6, "six", True, 0.5)])
            findings.update_finding(s, row.id, answer="Six [1].", status="supported", run={"model": "engram"})
        with db.session() as s:
            stored = findings.list_findings(s)
        record = load_findings(export_findings(stored, tmp_path / "f.json", archive="Leases"))[0]
    assert record == to_record(stored[0], "Leases")
    assert (record.archive, record.answer, record.citations[0].quote) == ("Leases", "Six [1].", "six")


@pytest.mark.parametrize("name", ["findings.rtf", "findings", "findings.md.exe"])
def test_unknown_format_names_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        export_findings([finding()], tmp_path / name)
    assert caught.value.code == "unknown_format"
    assert ".md, .json, .docx, .pdf, .html, .csv, .xlsx" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_format_can_be_given_and_endings_may_be_capitals(tmp_path: Path) -> None:
    assert (
        export_findings([finding()], tmp_path / "out.txt", format="md").read_text().startswith("# Findings")
    )
    assert export_findings([finding()], tmp_path / "OUT.MD").read_text().startswith("# Findings")


def test_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        export_findings([finding()], tmp_path / "nowhere" / "f.md")


def test_failing_export_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.md").write_text("old")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError) as caught:
        export_findings([finding()], tmp_path / "f.md")
    assert caught.value.code == "disk_full"
    assert (tmp_path / "f.md").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_findings_is_a_valid_export(tmp_path: Path) -> None:
    for suffix in FORMATS:
        assert export_findings([], tmp_path / f"f.{suffix}").stat().st_size > 0
