"""Fixtures of the ingestion tests: one parser process for a module, and parsing bytes under a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.ingest import ParsedDocument, Parser


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as shared:
        yield shared


@pytest.fixture
def parse(parser: Parser, tmp_path: Path) -> Callable[[bytes, str], ParsedDocument]:
    def parse_bytes(data: bytes, name: str) -> ParsedDocument:
        path = tmp_path / "input"
        path.write_bytes(data)
        return parser.parse(path, name)

    return parse_bytes
