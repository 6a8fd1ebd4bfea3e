"""Archives kept in order: trash, tags, moving, replacing, reading again, backups, near duplicates."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import pytest
from app_home import by_name, prose, services_with
from backup_files import Change, do, edited, rehashed, tampered, work
from reading_home import newest_state, read_at_once, same, whole_context

from app import library
from app.keeping import disk_use
from app.services import Services
from app.tidying import tidy
from storage import Archive, archives, documents, findings, jobs, tags, trash
from storage.backup import BackupReader
from storage.errors import DiskFullError, InvalidInputError
from storage.records import CitationData
from storage.scratch import scratch_prefix, sweep_scratch
from storage.similar import near_pairs, similarity, sketch

FILES = {"a.txt": prose(1, 4), "b.txt": prose(2, 4), "c.txt": prose(3, 4)}
services = services_with(FILES, "Papers")


@pytest.fixture
def archive(services: Services) -> Archive:
    with services.database.session() as s:
        return archives.list_archives(s)[0]


def order(services: Services, archive: Archive) -> list[str]:
    with services.database.session() as s:
        return [row.name for row in documents.reading_order(s, archive.id)]


def read_right(services: Services, archive: Archive) -> bool:
    """Whether the saved state is that of reading the documents as they stand now."""
    return same(newest_state(services, archive), read_at_once(whole_context(services, archive)))


def test_a_deleted_archive_comes_back_whole(services: Services, archive: Archive) -> None:
    library.delete_archive(services, archive.id)
    other = library.create_archive(services, "Papers")
    with services.database.session() as s:
        assert [row.id for row in archives.list_archives(s)] == [other.id]
        assert trash.list_trash(s) == {archive.id: "Papers"}
        with pytest.raises(Exception, match="There is no archive"):
            archives.get_archive(s, archive.id)
    assert library.undelete_archive(services, archive.id).name == "Papers (2)"
    work(services)
    assert read_right(services, archive)


def test_a_restart_empties_the_trash(services: Services, archive: Archive) -> None:
    library.delete_archive(services, archive.id)
    tidy(services)
    with services.database.session() as s:
        assert trash.list_trash(s) == {}
        assert documents.stored_hashes(s) == set()
    with pytest.raises(Exception, match="cannot be brought back"):
        library.undelete_archive(services, archive.id)
    assert not list((services.home.states / str(archive.id)).glob("*"))


def test_a_removed_document_comes_back(services: Services, archive: Archive) -> None:
    library.remove_document(services, by_name(services, archive)["b.txt"].id)
    work(services)
    assert order(services, archive) == ["a.txt", "c.txt"]
    assert library.bring_back(services, archive) == 1
    work(services)
    assert order(services, archive) == ["a.txt", "c.txt", "b.txt"]
    assert read_right(services, archive)
    with pytest.raises(InvalidInputError, match="Nothing was removed"):
        library.bring_back(services, archive)


def test_a_start_sweeps_old_originals_that_nothing_uses(services: Services, archive: Archive) -> None:
    stray, young = (services.files.add(io.BytesIO(text)).sha256 for text in (b"stray", b"young"))
    waiting = services.files.add(io.BytesIO(b"zip")).sha256
    for sha256 in (stray, waiting):
        os.utime(services.files.path(sha256), (time.time() - 7200,) * 2)
    with services.database.session() as s:
        jobs.enqueue(s, "ingest", archive.id, {"zips": [{"sha256": waiting, "name": "x.zip"}]})
        used = documents.stored_hashes(s)
    tidy(services)
    held = {path.name for path in services.files.root.glob("*/*")}
    assert held == used | {young, waiting}


def test_a_start_sweeps_folders_of_dead_parsers(tmp_path: Path) -> None:
    gone, old = tmp_path / "engram-parse-999999999-abc", tmp_path / "engram-zip-xyz_1"
    alive = Path(tempfile.mkdtemp(prefix=scratch_prefix("parse", os.getpid()), dir=tmp_path))
    other = tmp_path / "engram-tiny-999999999-abc"
    for folder in (gone, old, other):
        folder.mkdir()
    assert sweep_scratch(time.time(), tmp_path) == 1
    assert sweep_scratch(time.time() + 90_000, tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, other.name])


def test_moving_documents_reads_from_the_first_that_moved(services: Services, archive: Archive) -> None:
    found = by_name(services, archive)
    assert library.move_documents(services, archive, [found["c.txt"].id], 1) == 1
    work(services)
    assert order(services, archive) == ["a.txt", "c.txt", "b.txt"]
    assert read_right(services, archive)
    assert library.move_documents(services, archive, [found["c.txt"].id], 1) == 3


def test_a_new_version_takes_the_place_name_and_tags_of_the_old(services: Services, archive: Archive) -> None:
    old = by_name(services, archive)["b.txt"]
    with services.database.session() as s:
        tags.tag_documents(s, archive.id, [old.id], ["Lease", "lease", " draft "])
    library.replace_document(services, old.id, "new.txt", io.BytesIO(prose(9, 3).encode()))
    work(services)
    assert order(services, archive) == ["a.txt", "b.txt", "c.txt"]
    new = by_name(services, archive)["b.txt"]
    with services.database.session() as s:
        assert documents.document_text(s, new.id).startswith("Paragraph 9.0")
        assert tags.document_tags(s, archive.id) == {new.id: ["Lease", "draft"]}
    assert new.id != old.id
    assert not services.files.path(old.sha256).exists()
    assert read_right(services, archive)


def test_a_version_that_cannot_be_parsed_leaves_the_old_one(services: Services, archive: Archive) -> None:
    old = by_name(services, archive)["b.txt"]
    library.replace_document(services, old.id, "b.txt", io.BytesIO(b"%PDF-1.4 broken"))
    work(services)
    assert order(services, archive) == ["a.txt", "b.txt", "c.txt"]
    assert by_name(services, archive)["b.txt"].id == old.id
    with pytest.raises(Exception, match="is the same as"):
        library.replace_document(services, old.id, "b.txt", io.BytesIO(FILES["a.txt"].encode()))


def test_parsing_again_keeps_the_place_and_reading_again_starts_over(
    services: Services, archive: Archive
) -> None:
    library.parse_again(services, archive, [by_name(services, archive)["a.txt"].id])
    work(services)
    assert order(services, archive) == ["a.txt", "b.txt", "c.txt"]
    job = do(services, "read", archive.id, again=True)
    assert job.result is not None
    assert (job.result["resumed_at"], job.result["read_now"]) == (0, job.result["tokens"])
    assert read_right(services, archive)


def test_a_backup_restores_everything_without_reading_again(
    services: Services, archive: Archive, tmp_path: Path
) -> None:
    with services.database.session() as s:
        archives.describe_archive(s, archive.id, "Three papers.")
        tags.tag_archive(s, archive.id, ["physics"])
        finding = findings.create_finding(s, archive.id, None, "What?")
        cited = documents.list_documents(s, archive.id)[1]
        findings.set_citations(s, finding.id, [CitationData(1, cited.id, cited.name, 1, 0, 4, "Para", True)])
        findings.update_finding(s, finding.id, status="supported", answer="Para")
    out = tmp_path / "papers.zip"
    assert do(services, "backup", archive.id, file=str(out)).status == "done"
    library.purge_archive(services, archive.id)
    job = do(services, "restore", file=str(out))
    assert (job.status, job.error) == ("done", "")
    with services.database.session() as s:
        restored = archives.get_archive(s, "Papers")
        assert (restored.description, tags.archive_tags(s)[restored.id]) == ("Three papers.", ["physics"])
        (kept,) = findings.list_findings(s, restored.id)
        assert (kept.status, kept.citations[0].quote) == ("supported", "Para")
        ids = {row.id: row.name for row in documents.list_documents(s, restored.id)}
        assert ids[kept.citations[0].document_id] == "b.txt"
        read = next(job for job in jobs.list_jobs(s, restored.id) if job.kind == "read")
        assert documents.coverage(s, restored.id).read == 3
    assert read.result is not None
    assert read.result["read_now"] == 0
    assert read_right(services, restored)
    again = do(services, "restore", file=str(out))
    assert again.result is not None
    assert again.result["archive"] == "Papers (2)"


def first_original(members: dict[str, bytes]) -> str:
    return next(name for name in members if name.startswith("originals/"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.pop("manifest.json"), "no manifest"),
        (lambda m: m.update({"manifest.json": b"[]"}), "not an object"),
        (lambda m: edited(m, lambda x: x.update(format="other")), "something else"),
        (lambda m: edited(m, lambda x: x.update(version=99)), "Another version"),
        (lambda m: m.update({"../../evil": b"x"}), "not those of the manifest"),
        (lambda m: rehashed(m, "../../evil", b"x"), "not what the manifest says"),
        (lambda m: rehashed(m, "states/1.state", bytes(30_000_000)), "ZIP bombs"),
        (lambda m: m.update({first_original(m): b"x" * len(m[first_original(m)])}), "is damaged"),
        (lambda m: rehashed(m, first_original(m), b"other"), "not the file that its name says"),
        (lambda m: rehashed(m, "documents/0.json", b'{"pages": 7}'), "not a list"),
        (lambda m: rehashed(m, "documents/0.json", b'{"pages": [], "passages": []}'), "do not fill"),
        (lambda m: edited(m, lambda x: x["documents"].append(x["documents"][0])), "twice"),
        (lambda m: edited(m, lambda x: x["documents"][0].update(tokens="9")), "of the wrong kind"),
        (lambda m: edited(m, lambda x: x["documents"][0].update(sha256="../x")), "SHA-256"),
    ],
)
def test_a_hostile_or_damaged_backup_leaves_nothing_behind(
    services: Services, archive: Archive, tmp_path: Path, change: Change, says: str
) -> None:
    good = tmp_path / "good.zip"
    do(services, "backup", archive.id, file=str(good))
    library.purge_archive(services, archive.id)
    job = do(services, "restore", file=str(tampered(good, tmp_path / "bad.zip", change)))
    assert job.status == "failed"
    assert says in job.error
    with services.database.session() as s:
        assert archives.list_archives(s) == []
        assert trash.trashed_ids(s) == set()
    assert [path for path in services.files.root.glob("*/*") if path.is_file()] == []


def test_other_files_and_a_full_disk_are_refused(
    services: Services, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    assert "not a whole Engram backup" in do(services, "restore", file=str(tmp_path / "photo.jpg")).error
    assert "There is no file" in do(services, "restore", file=str(tmp_path / "none.zip")).error
    out = tmp_path / "papers.zip"
    do(services, "backup", archive.id, file=str(out))
    (tmp_path / "half.zip").write_bytes(out.read_bytes()[:5000])
    assert "not a whole Engram backup" in do(services, "restore", file=str(tmp_path / "half.zip")).error
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("storage.backup.reading.shutil.disk_usage", lambda path: usage(1, 1, 0))
    with BackupReader(out) as reader, pytest.raises(DiskFullError, match=r"0\.00 GB are free"):
        reader.check_room(tmp_path)


def test_near_duplicates_are_found_and_others_are_not(services: Services, archive: Archive) -> None:
    text = " ".join(f"Clause {number} binds party {number * 7}." for number in range(80))
    for name, body in (("a.md", text), ("a-draft.md", text.replace("Clause 40", "Section 40"))):
        library.add_upload(services, archive, name, io.BytesIO(body.encode()))
    work(services)
    result = do(services, "duplicates", archive.id).result
    assert result is not None
    found = by_name(services, archive)
    (pair,) = result["pairs"]
    assert {pair["one"], pair["other"]} == {found["a.md"].id, found["a-draft.md"].id}
    assert 0.8 < pair["alike"] < 1


def test_sketches_estimate_what_texts_share() -> None:
    words = [f"word{number}" for number in range(4_000)]
    one, half = " ".join(words), " ".join(words[:2_000] + [f"other{n}" for n in range(2_000)])
    assert similarity(sketch(one), sketch(one)) == 1.0
    assert similarity(sketch(one), sketch(half)) == pytest.approx(1 / 3, abs=0.12)
    assert similarity(sketch(""), sketch(one)) == 0.0
    chinese = "合同双方同意在三十日内以书面形式通知对方终止本协议" * 3
    assert similarity(sketch(chinese), sketch(chinese + "附件")) > 0.8
    assert near_pairs({1: sketch(""), 2: sketch("")}) == []


def test_disk_use_counts_originals_text_and_states(services: Services, archive: Archive) -> None:
    used = disk_use(services, archive.id)
    assert used["originals"] == sum(len(text.encode()) for text in FILES.values())
    assert used["states"] > 0
    assert used["text"] > used["originals"]


def test_too_many_or_too_long_tags_are_refused(services: Services, archive: Archive) -> None:
    with services.database.session() as s:
        for bad in (["x" * 41], [str(n) for n in range(21)]):
            with pytest.raises(InvalidInputError):
                tags.tag_archive(s, archive.id, bad)
        tags.tag_archive(s, archive.id, [])
        assert tags.archive_tags(s) == {}
