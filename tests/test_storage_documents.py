"""Documents: stored once, parsed, put in order, failed with a reason, removed without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from storage_rows import add_archive, add_queued, add_text, new_database, store

from storage import Database, InvalidInputError, NotFoundError, PassageSpan, documents, passages
from storage.ingest.parsed import ParsedDocument, ParsedPage

PAGES = ("First page: größe.\n", "", "Third page 𝔘nicode.\n")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


def test_same_content_twice_is_one_document(db: Database) -> None:
    with db.session() as s:
        archive, other = add_archive(s), add_archive(s, "Other")
        first, created = documents.add_document(s, archive.id, "a.pdf", "a" * 64, 10, "application/pdf")
        again, created_again = documents.add_document(s, archive.id, "b.pdf", "a" * 64, 10, "application/pdf")
        elsewhere, created_elsewhere = documents.add_document(
            s, other.id, "b.pdf", "a" * 64, 10, "application/pdf"
        )
    assert (created, created_again, created_elsewhere) == (True, False, True)
    assert again.id == first.id != elsewhere.id
    assert (again.name, again.status) == ("a.pdf", "queued")


def test_document_needs_an_archive(db: Database) -> None:
    with pytest.raises(NotFoundError) as caught, db.session() as s:
        documents.add_document(s, 7, "a.pdf", "a" * 64, 10, "application/pdf")
    assert caught.value.code == "unknown_archive"


def test_parsed_document_takes_the_next_place(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        rows = [add_text(s, archive, name, *PAGES, title="T") for name in ("a", "b")]
    assert [(d.status, d.position, d.pages, d.title) for d in rows] == [
        ("parsed", 0, 3, "T"),
        ("parsed", 1, 3, "T"),
    ]
    assert rows[0].characters == len("".join(PAGES))


def test_document_text_is_its_pages_joined_at_every_offset(db: Database) -> None:
    whole = "".join(PAGES)
    with db.session() as s:
        document = add_text(s, add_archive(s), "a", *PAGES)
        for start in range(len(whole) + 2):
            for end in range(start, len(whole) + 2):
                assert documents.document_text(s, document.id, start, end) == whole[start:end]
        assert documents.document_text(s, document.id) == whole
        assert documents.document_text(s, document.id, 5) == whole[5:]


def test_page_at_knows_the_page_of_every_character(db: Database) -> None:
    first = len(PAGES[0])
    with db.session() as s:
        document = add_text(s, add_archive(s), "a", *PAGES)
        places = (0, first - 1, first, len("".join(PAGES)) - 1, 10_000, -5)
        assert [documents.page_at(s, document.id, place).number for place in places] == [1, 1, 3, 3, 3, 1]


def test_text_of_unknown_or_unparsed_documents(db: Database) -> None:
    with db.session() as s:
        queued = add_queued(s, add_archive(s), "a")
        assert documents.document_text(s, queued.id) == ""
        with pytest.raises(NotFoundError, match="no text"):
            documents.page_at(s, queued.id, 0)
        with pytest.raises(NotFoundError, match="no document 99"):
            documents.document_text(s, 99)


def test_parsing_again_replaces_text_and_keeps_the_place(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        first = add_text(s, archive, "a", "old words\n")
        add_text(s, archive, "b", "other\n")
        store(s, first, "new words\n")
        assert first.position == 0
        assert documents.document_text(s, first.id) == "new words\n"
        assert passages.search_text(s, archive.id, "old") == []
        assert len(passages.search_text(s, archive.id, "new")) == 1


def test_failing_store_leaves_the_document_as_it_was(db: Database) -> None:
    with db.session() as s:
        document = add_text(s, add_archive(s), "a", "kept words\n")
    parsed = ParsedDocument("text/plain", "", (ParsedPage(1, "short\n"),), (), ())
    with pytest.raises(InvalidInputError, match="outside the text"), db.session() as s:
        documents.store_parsed(s, document.id, parsed, [PassageSpan(0, 0, 99, 0, 2)], 2)
    with db.session() as s:
        assert documents.document_text(s, document.id) == "kept words\n"
        assert documents.get_document(s, document.id).status == "parsed"


def test_nul_and_lone_surrogates_do_not_move_offsets(db: Database) -> None:
    with db.session() as s:
        document = add_text(s, add_archive(s), "a", "a\0b\ud800c\n")
        assert documents.document_text(s, document.id) == "a b?c\n"


@pytest.mark.parametrize(("needs_ocr", "status"), [(True, "needs_ocr"), (False, "skipped")])
def test_document_without_text_never_enters_the_context(db: Database, needs_ocr: bool, status: str) -> None:
    with db.session() as s:
        archive = add_archive(s)
        empty = add_queued(s, archive, "scan.pdf")
        parsed = ParsedDocument(
            "application/pdf", "", (ParsedPage(1, "\n", needs_ocr),), (), ("page 1: image",)
        )
        documents.store_parsed(s, empty.id, parsed, [], 0)
        after = add_text(s, archive, "b", "words\n")
    assert (empty.status, empty.position, empty.warnings) == (status, None, ["page 1: image"])
    assert empty.error
    assert after.position == 0


def test_removing_closes_the_gap_and_cleans_the_index(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        rows = [add_text(s, archive, name, f"{name} 心臓病の薬\n") for name in ("alpha", "beta", "gamma")]
    with db.session() as s:
        assert documents.remove_document(s, rows[1].id) == [rows[1].sha256]
    with db.session() as s:
        assert [(d.name, d.position) for d in documents.reading_order(s, archive.id)] == [
            ("alpha", 0),
            ("gamma", 1),
        ]
        assert passages.search_text(s, archive.id, "beta") == []
        assert len(passages.search_text(s, archive.id, "心臓病")) == 2
        counts = {
            t: s.scalar(text(f"SELECT count(*) FROM {t}")) for t in ("pages", "passages", "passages_fts")
        }
    assert counts == {"pages": 2, "passages": 2, "passages_fts": 2}


def test_original_used_elsewhere_is_kept(db: Database) -> None:
    with db.session() as s:
        first = add_text(s, add_archive(s), "same", "words\n")
        add_text(s, add_archive(s, "Other"), "same", "words\n")
        assert documents.remove_document(s, first.id) == []
        assert documents.stored_hashes(s) == {first.sha256}


def test_failing_a_parsed_document_takes_it_out_of_the_context(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        first, second = add_text(s, archive, "a", "one\n"), add_text(s, archive, "b", "two\n")
        documents.fail_document(s, first.id, "failed", "The file is truncated.", "Get it again.")
    with db.session() as s:
        assert [d.id for d in documents.reading_order(s, archive.id)] == [second.id]
        failed = documents.get_document(s, first.id)
        assert (failed.status, failed.error, failed.hint) == (
            "failed",
            "The file is truncated.",
            "Get it again.",
        )
        assert documents.get_document(s, second.id).position == 0
        with pytest.raises(InvalidInputError):
            documents.fail_document(s, first.id, "ready", "")


def test_coverage_names_what_was_not_read_and_why(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        ready = add_text(s, archive, "ready.txt", "words enough\n")
        documents.set_status(s, ready.id, "ready")
        waiting = add_text(s, archive, "waiting.txt", "more words\n")
        broken = add_queued(s, archive, "broken.pdf")
        documents.fail_document(s, broken.id, "failed", "The file is encrypted.")
        partly = add_queued(s, archive, "partly.pdf")
        parsed = ParsedDocument(
            "application/pdf",
            "",
            (ParsedPage(1, "words\n"), *(ParsedPage(n, "\n", True) for n in (2, 3))),
            (),
            (),
        )
        documents.store_parsed(s, partly.id, parsed, [PassageSpan(0, 0, 6, 0, 2)], 2)
        documents.set_status(s, partly.id, "ready")
        covered = documents.coverage(s, archive.id)
    assert covered.documents == 4
    assert covered.read == 2
    assert covered.tokens_total == ready.tokens + waiting.tokens + 2
    assert covered.tokens_read == ready.tokens + 2
    assert covered.not_read == (
        ("waiting.txt", "waiting to be read"),
        ("broken.pdf", "The file is encrypted."),
        ("partly.pdf", "pages 2, 3: image without text, needs OCR"),
    )


def test_ready_notes_the_time_and_mark_unread_forgets_it(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        rows = [add_text(s, archive, name, "words\n") for name in ("a", "b", "c")]
        for row in rows:
            documents.set_status(s, row.id, "ready")
        assert all(row.read_at for row in rows)
        documents.mark_unread(s, archive.id, from_position=1)
    with db.session() as s:
        found = documents.list_documents(s, archive.id)
    assert [(d.status, d.read_at is None) for d in found] == [
        ("ready", False),
        ("parsed", True),
        ("parsed", True),
    ]


def test_documents_are_found_by_path_or_last_part(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        for name in ("x/lease.pdf", "y/lease.pdf", "z/other.pdf"):
            add_queued(s, archive, name)
        names = [
            [d.name for d in documents.find_documents(s, archive.id, wanted)]
            for wanted in (["X/Lease.pdf"], ["lease.pdf"], ["other.pdf", "x/lease.pdf"], [])
        ]
        with pytest.raises(NotFoundError, match="missing"):
            documents.find_documents(s, archive.id, ["other.pdf", "missing.pdf"])
    assert names == [["x/lease.pdf"], ["x/lease.pdf", "y/lease.pdf"], ["x/lease.pdf", "z/other.pdf"], []]
