"""Large archives: does every page answer within a second?

    python tests/bench/large.py [--home HOME] [--documents 2000] [--pages 3000]

Writes 2,000 small documents and one PDF of 3,000 pages, puts them through upload, parsing and reading with
the real worker, fills a matrix over all of them, keeps 300 findings, and then times every page's
interactions: the page's whole run on the server, page images drawn by the child process included, without
the browser's own work; by the clock and in processor time, which other work on the machine does not stretch.
Reading is done by a tiny random model of the tests, because it is the pages that are measured: its speeds say
nothing about the model that ships.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from page_driver import open_page
from streamlit.testing.v1 import AppTest
from tiny import tiny_model_dir

from app import library, matrix
from app.services import Services
from app.settings import Options
from app.view.page_image import page_image
from app.worker import Worker
from storage import (
    Archive,
    CitationData,
    Document,
    QuestionData,
    archives,
    documents,
    findings,
    jobs,
    matrices,
)
from tests.bench.large_files import mark_of, write_book, write_documents
from tests.bench.record import record

TARGET_S = 1.0
RUNS, FINDINGS = 3, 300
ASKED = [QuestionData("Who signed it?", "Signed"), QuestionData("What was measured?", "Measured")]
Step = Callable[[AppTest], AppTest]
Taken = dict[str, list[tuple[float, float]]]  # seconds by the clock and of the processor, each run's


def make(services: Services, name: str, paths: list[Path]) -> tuple[Archive, dict[str, float]]:
    """An archive of these files, parsed and read by the worker, or as an earlier run left it; seconds of each
    job by its kind.
    """
    with services.database.session() as s:
        archive = next((held for held in archives.list_archives(s) if held.name == name), None)
    if archive is None:
        archive = library.create_archive(services, name)
        library.add_files(services, archive, paths)
        Worker(services).run_until_idle()
    with services.database.session() as s:
        done = jobs.list_jobs(s, archive.id)
    took = {
        job.kind: round((job.finished_at - job.started_at).total_seconds(), 1)
        for job in done
        if job.started_at and job.finished_at and job.status == "done"
    }
    return archive, took


def keep_findings(services: Services, archive: Archive) -> None:
    """Findings with a citation each, as a long use leaves them."""
    with services.database.session() as s:
        rows = documents.list_documents(s, archive.id)[:FINDINGS]
        for row in rows:
            quote = documents.document_text(s, row.id, 0, 60)
            asked = findings.create_finding(s, archive.id, None, f"What does {row.name} begin with?")
            findings.set_citations(s, asked.id, [CitationData(1, row.id, row.name, 1, 0, 60, quote, True)])
            findings.update_finding(s, asked.id, answer=f"{quote} [1]", status="supported")


def cite_pages(services: Services, archive: Archive, book: Document, pages: list[int]) -> int:
    """A finding that cites these pages of the book; its id."""
    with services.database.session() as s:
        asked = findings.create_finding(s, archive.id, None, "Which pages name themselves?")
        cited = []
        for number, page in enumerate(pages, 1):
            held = documents.page_numbered(s, book.id, page)
            assert held is not None
            quote = mark_of(page)
            start = held.start + held.text.index(quote)
            place = (book.id, book.name, page, start, start + len(quote))
            cited.append(CitationData(number, *place, quote, True))
        findings.set_citations(s, asked.id, cited)
        findings.update_finding(s, asked.id, answer="These [1].", status="supported")
    return asked.id


def timed(name: str, start: Callable[[], AppTest], *steps: tuple[str, Step]) -> Taken:
    """Opening a page and each step on it, over fresh sessions."""
    took: Taken = {}
    for _ in range(RUNS):
        page = _clock(took, f"{name}: open", start)
        for words, step in steps:
            page = _clock(took, f"{name}: {words}", lambda now=page, go=step: go(now))
    return took


def _clock(took: Taken, name: str, run: Callable[[], AppTest]) -> AppTest:
    began, worked = time.perf_counter(), _processor_s()
    page = run()
    took.setdefault(name, []).append((time.perf_counter() - began, _processor_s() - worked))
    assert not page.exception, (name, page.exception)
    assert not page.error, (name, [element.value for element in page.error])
    return page


def _processor_s() -> float:
    """Processor seconds of this process and of the children that have ended."""
    return sum(os.times()[:4])


def medians(taken: Taken, at: int) -> dict[str, float]:
    """The median of each interaction: seconds by the clock (0) or of the processor (1)."""
    return {name: round(statistics.median(pair[at] for pair in pairs), 3) for name, pairs in taken.items()}


def opened(name: str, archive: Archive) -> Callable[[], AppTest]:
    """Opening a page with this archive in hand."""
    return lambda: open_page(name, archive=archive.id)


def interactions(many: Archive, book: Archive, made: int, finding: int, search_for: int) -> Taken:
    """Every page's interactions, by name."""

    def cell(page: AppTest) -> AppTest:
        chosen = {"selection": {"rows": [], "columns": [], "cells": [(1, "Signed")]}}
        page.session_state[f"matrix_{made}_0"] = chosen
        return page.run()

    def look(page: AppTest) -> AppTest:
        return page.button(key=f"look_{finding}").click().run()

    def show(number: int) -> Step:
        return lambda page: page.button(key=f"open_{finding}_{number}").click().run()

    def search(page: AppTest) -> AppTest:
        box = next(box for box in page.text_input if box.label == "Search in this document")
        return box.set_value(mark_of(search_for)).run()

    def press(label: str) -> Step:
        return lambda page: next(b for b in page.button if b.label.startswith(label)).click().run()

    again = ("draw again", lambda page: page.run())
    found = timed("library", opened("library", many), again) | timed("ask", opened("ask", many), again)
    found |= timed(
        "findings",
        opened("findings", many),
        ("show more", press("Show ")),
        ("search", lambda page: page.text_input(key="findings_search").set_value("physics-00").run()),
    )
    found |= timed(
        "matrix",
        opened("matrix", many),
        ("search", lambda page: page.text_input(key="matrix_search").set_value("physics").run()),
        ("all again", lambda page: page.text_input(key="matrix_search").set_value("").run()),
        ("open a cell", cell),
    )

    def unseen() -> AppTest:
        page_image.clear()  # a page that was drawn before is kept
        return opened("findings", book)()

    return found | timed(
        "viewer",
        unseen,
        ("open the finding", look),
        ("page 1", show(1)),
        ("page in the middle", show(2)),
        ("last page", show(3)),
        ("next page back", press("Previous page")),
        ("search inside", search),
        ("go to the place found", press("Page ")),
    )


def main() -> None:
    """Make the archives, time the pages, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, help="a folder to keep; else a temporary one")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--pages", type=int, default=3000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--note", default="", help="what else ran on the machine")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder) / "home"
        (home / "models").mkdir(parents=True, exist_ok=True)
        if not (home / "models" / "default").exists():
            tiny_model_dir(Path(folder)).rename(home / "models" / "default")
        os.environ["ENGRAM_HOME"] = str(home)
        values = measure(Services(Options(home=home)), Path(folder), options)
    about = {"findings": FINDINGS, "questions": len(ASKED), "model": "tiny random", "runs": RUNS}
    about |= {name: getattr(options, name) for name in ("documents", "pages", "note")}
    record("large", about, values, options.out)


def measure(services: Services, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The seconds of the worker's jobs and of the pages."""
    draw = random.Random(0)
    many, jobs_many = make(services, "Many", write_documents(folder / "many", options.documents, draw))
    book, jobs_book = make(services, "Book", [write_book(folder / "book.pdf", options.pages, draw)])
    with services.database.session() as s:
        made = next(iter(matrices.list_matrices(s, many.id)), None)
    if made is None:
        keep_findings(services, many)
        made = matrix.make(services, many, "All", ASKED)
        Worker(services).run_until_idle()
    with services.database.session() as s:
        (whole,) = documents.list_documents(s, book.id)
        done, total = matrices.count_cells(s, made.id)
        run = matrices.get_matrix(s, made.id).run
        read = (documents.coverage(s, many.id).read, documents.coverage(s, book.id).read)
    finding = cite_pages(services, book, whole, [1, options.pages // 2, options.pages])
    interactions(many, book, made.id, finding, options.pages - 1)  # imports and caches are warm afterwards
    found = interactions(many, book, made.id, finding, options.pages - 1)
    by_clock, by_processor = medians(found, 0), medians(found, 1)
    return {
        "documents_read": read[0],
        "pages_of_the_book": whole.pages,
        "jobs_s": {"many": jobs_many, "book": jobs_book},
        "cells": {"answered": done, "all": total, "seconds": round(run["seconds"], 1)},
        "page_s": by_clock,
        "page_processor_s": by_processor,
        "slowest_s": max(by_clock.values()),
        "slower_than_target": sorted(name for name, value in by_clock.items() if value > TARGET_S),
        "target_s": TARGET_S,
    }


if __name__ == "__main__":
    main()
