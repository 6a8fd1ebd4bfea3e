"""Passages: their words and places, their recall codes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from storage_rows import add_archive, add_text, new_database

from storage import Database, InvalidInputError, PassageSpan, documents, passages
from storage.ingest.parsed import ParsedDocument, ParsedPage


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


def code(number: int) -> bytes:
    return bytes([number]) * 64


def test_passages_come_back_in_the_order_asked_with_their_page(db: Database) -> None:
    with db.session() as s:
        document = add_text(
            s, add_archive(s), "d.txt", "one\n", "", "three\n", title="Title", heading="A > B"
        )
        ids = [p.id for p in passages.list_passages(s, document.id)]
        found = passages.get_passages(s, [ids[1], ids[0], 999, ids[1]])
    assert [(p.text, p.page, p.start, p.end) for p in found] == [
        ("three\n", 3, 4, 10),
        ("one\n", 1, 0, 4),
        ("three\n", 3, 4, 10),
    ]
    assert (found[0].document, found[0].title, found[0].heading) == ("d.txt", "Title", "A > B")


def test_passage_text_equals_the_documents_text_between_its_offsets(db: Database) -> None:
    text = "Ein Satz mit 𝔘mlauten: äöü.\n" * 20
    spans = [
        PassageSpan(n, a, min(a + 37, len(text)), n, n + 1) for n, a in enumerate(range(0, len(text), 37))
    ]
    parsed = ParsedDocument("text/plain", "", (ParsedPage(1, text[:100]), ParsedPage(2, text[100:])), (), ())
    with db.session() as s:
        document, _ = documents.add_document(s, add_archive(s).id, "d", "a" * 64, 1, "text/plain")
        documents.store_parsed(s, document.id, parsed, spans, len(spans))
        found = passages.get_passages(s, [p.id for p in passages.list_passages(s, document.id)])
        assert "".join(p.text for p in found) == text
        assert all(p.text == documents.document_text(s, document.id, p.start, p.end) for p in found)
        assert all(p.page == documents.page_at(s, document.id, p.start).number for p in found)


def test_codes_of_one_model_load_as_arrays(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        first, second = add_text(s, archive, "a", "x\n", "y\n", "z\n"), add_text(s, archive, "b", "w\n")
        ids = [p.id for d in (first, second) for p in passages.list_passages(s, d.id)]
        passages.set_codes(s, "model", {ids[2]: code(2), ids[0]: code(0), ids[3]: code(3)})
        passages.set_codes(s, "other", {ids[1]: code(1)})
        found, codes = passages.load_codes(s, archive.id, "model")
        some, some_codes = passages.load_codes(s, archive.id, "model", [second.id])
        none, no_codes = passages.load_codes(s, archive.id, "missing")
        passages.clear_codes(s, archive.id)
        cleared, _ = passages.load_codes(s, archive.id, "model")
    assert found.tolist() == [ids[0], ids[2], ids[3]]
    assert (found.dtype, codes.dtype, codes.shape) == (np.int64, np.uint8, (3, 64))
    assert codes[:, 0].tolist() == [0, 2, 3]
    assert (some.tolist(), some_codes[:, 63].tolist()) == ([ids[3]], [3])
    assert (none.shape, no_codes.shape, cleared.shape) == ((0,), (0, 64), (0,))


def test_code_of_another_size_is_refused(db: Database) -> None:
    with pytest.raises(InvalidInputError, match="64 bytes"), db.session() as s:
        passages.set_codes(s, "model", {1: b"short"})


def test_large_archive_is_stored_and_searched_in_reasonable_time(db: Database) -> None:
    """A tenth of a 4-million-token archive; bounds are ten times what a slow laptop needs."""
    words = [f"word{n % 997}" for n in range(2_000 * 150)]
    parts = [" ".join(words[n * 150 : (n + 1) * 150]) + "\n" for n in range(2_000)]
    spans, start = [], 0
    for ordinal, part in enumerate(parts):
        spans.append(PassageSpan(ordinal, start, start + len(part), ordinal * 200, ordinal * 200 + 200))
        start += len(part)
    parsed = ParsedDocument("text/plain", "", tuple(ParsedPage(n, p) for n, p in enumerate(parts, 1)), (), ())
    began = time.perf_counter()
    with db.session() as s:
        archive = add_archive(s)
        document, _ = documents.add_document(s, archive.id, "d", "a" * 64, 1, "text/plain")
        documents.store_parsed(s, document.id, parsed, spans, 400_000)
        passages.set_codes(s, "m", {p.id: code(1) for p in passages.list_passages(s, document.id)})
    with db.session() as s:
        assert passages.load_codes(s, archive.id, "m")[1].shape == (2_000, 64)
        assert len(passages.search_text(s, archive.id, "word5 word700", limit=50)) == 50
    assert time.perf_counter() - began < 10
