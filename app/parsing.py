"""Parses documents a little ahead of who stores them, each thread with its own child process."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from app.services import Services
from storage import Document
from storage.ingest import ParsedDocument, ParseFailure, Parser

log = logging.getLogger(__name__)
MOST_PARSERS = 4
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document with its text, or with why there is none."""

    document: Document
    result: ParsedDocument | None
    failure: ParseFailure | None


def parse_ahead(
    services: Services, waiting: Iterable[Document], on_wait: Callable[[str], None] = lambda note: None
) -> Iterator[Parsed]:
    """Parse in order, a few documents ahead of the caller.

    While the next one takes its time, `on_wait` is called twice a second with what is going on; it may raise.
    """
    ahead = parsers()
    pool = _Parsers(services)
    with ThreadPoolExecutor(ahead, thread_name_prefix="parse") as executor:
        running: deque[Future[Parsed]] = deque()

        def first() -> Parsed:
            while not wait([running[0]], LOOK_S).done:
                on_wait(pool.note)
            return running.popleft().result()

        try:
            for document in waiting:
                running.append(executor.submit(pool.parse, document))
                if len(running) > ahead:
                    yield first()
            while running:
                yield first()
        finally:
            pool.stop()
            executor.shutdown(wait=True, cancel_futures=True)
            pool.close()


def parsers() -> int:
    """How many files are parsed at once: half of the processors, since reading needs the others."""
    return min(MOST_PARSERS, max(1, (os.cpu_count() or 1) // 2))


@dataclass(frozen=True, slots=True)
class ParseRate:
    """How fast files were parsed; `failed` ones give no pages."""

    files: int
    failed: int
    pages: int
    seconds: float

    @property
    def pages_per_s(self) -> float:
        return self.pages / self.seconds if self.seconds else 0.0


def measure_parsing(paths: Sequence[Path], processes: int | None = None) -> ParseRate:
    """Parse files with as many child processes as the product would, or as told; nothing is stored."""
    local = threading.local()
    opened: list[Parser] = []

    def parse(path: Path) -> int | None:
        if not hasattr(local, "parser"):
            local.parser = Parser()
            opened.append(local.parser)
        try:
            return len(local.parser.parse(path, path.name).pages)
        except ParseFailure:
            return None

    began = time.monotonic()
    with ThreadPoolExecutor(processes or parsers()) as executor:
        counts = list(executor.map(parse, paths))
    seconds = time.monotonic() - began
    for parser in opened:
        parser.close()
    return ParseRate(len(paths), counts.count(None), sum(count or 0 for count in counts), seconds)


class _Stopped(Exception):
    """Nobody waits for the result any more."""


class _Parsers:
    """Parsers, one a thread; `note` says what one of them does that takes long."""

    def __init__(self, services: Services) -> None:
        self.note = ""
        self._services = services
        self._local = threading.local()
        self._all: list[Parser] = []
        self._stopping = threading.Event()

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
        except _Stopped:
            raise
        except Exception as error:
            log.exception("parsing %s", document.name)
            what = f"Parsing failed ({type(error).__name__})"
            return Parsed(document, None, ParseFailure("failed", what, "The worker's log says more."))
        finally:
            self.note = ""

    def stop(self) -> None:
        """End what is being parsed."""
        self._stopping.set()
        for parser in self._all:
            parser.interrupt()

    def close(self) -> None:
        """End the child processes."""
        for parser in self._all:
            parser.close()

    def _parser(self) -> Parser:
        if not hasattr(self._local, "parser"):
            self._local.parser = Parser(on_page=self._on_page)
            self._all.append(self._local.parser)
        parser: Parser = self._local.parser
        return parser

    def _on_page(self, name: str, page: int, pages: int) -> None:
        if self._stopping.is_set():
            raise _Stopped
        self.note = f"recognising page {page:,} of {pages:,} of {name}"
