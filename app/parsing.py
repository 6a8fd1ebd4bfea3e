"""Parses documents a little ahead of who stores them, each thread with its own child process."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from app.services import Services
from storage import Document
from storage.ingest import ParsedDocument, ParseFailure, Parser

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document with its text, or with why there is none."""

    document: Document
    result: ParsedDocument | None
    failure: ParseFailure | None


def parse_ahead(services: Services, waiting: Iterable[Document]) -> Iterator[Parsed]:
    """Parse in order, one or two documents ahead of the caller."""
    threads = 2 if (os.cpu_count() or 1) >= 4 else 1
    pool = _Parsers(services)
    with ThreadPoolExecutor(threads, thread_name_prefix="parse") as executor:
        running: deque[Future[Parsed]] = deque()
        try:
            for document in waiting:
                running.append(executor.submit(pool.parse, document))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
            pool.close()


class _Parsers:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._local = threading.local()
        self._all: list[Parser] = []

    def parse(self, document: Document) -> Parsed:
        """Parse one document in this thread's child process."""
        path = self._services.files.path(document.sha256)
        if not path.is_file():
            missing = ParseFailure("failed", "The stored original is gone", "Add the file again.")
            return Parsed(document, None, missing)
        try:
            return Parsed(document, self._parser().parse(path, document.name), None)
        except ParseFailure as failure:
            return Parsed(document, None, failure)
        except Exception as error:
            log.exception("parsing %s", document.name)
            what = f"Parsing failed ({type(error).__name__})"
            return Parsed(document, None, ParseFailure("failed", what, "The worker's log says more."))

    def close(self) -> None:
        """End the child processes."""
        for parser in self._all:
            parser.close()

    def _parser(self) -> Parser:
        if not hasattr(self._local, "parser"):
            self._local.parser = Parser()
            self._all.append(self._local.parser)
        parser: Parser = self._local.parser
        return parser
