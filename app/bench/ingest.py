"""Parsing speed of PDF pages, with one and with several child processes, against reading speed."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pypdf import PdfReader, PdfWriter

from app.bench.plan import Plan
from app.bench.reading import read
from app.bench.record import ROOT, Measured
from app.bench.timing import in_turn, seconds
from storage.ingest import Parser

SAMPLE = ROOT / "assets" / "sample" / "documents" / "physics" / "muon-lifetime.pdf"


def measure(plan: Plan) -> Iterator[Measured]:
    """Pages per second of files of `pages` pages; how many times faster than the pages are read."""
    pages, files = (4, 2) if plan.quick else (250, 4)
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_pdf(Path(folder) / f"{number}.pdf", pages) for number in range(files)]
        workers = sorted({1, min(files, os.cpu_count() or 1)})
        with Parser() as parser:
            text = "\n".join(page.text for page in parser.parse(paths[0], paths[0].name).pages)
        tokens = len(plan.tokenizer.encode(text)) / pages
        ids = plan.tokenizer.encode(text)[: 256 if plan.quick else 8192]
        reading = len(ids) / seconds(lambda: read(plan.engine, ids))
        found = in_turn(plan.runs, {str(n): partial(parse_all, paths, n) for n in workers})
    for name, times in found.items():
        speed = pages * files / statistics.median(times)
        values = {
            "pages_per_s": round(speed, 1),
            "tokens_per_page": round(tokens, 1),
            "reading_pages_per_s": round(reading / tokens, 2),
            "parsing_over_reading": round(speed * tokens / reading, 1),
        }
        yield Measured({"format": "pdf", "pages": pages * files, "processes": int(name)}, values)


def write_pdf(path: Path, pages: int) -> Path:
    """A PDF of `pages` pages, those of the sample over and over."""
    source, writer = PdfReader(SAMPLE).pages, PdfWriter()
    for number in range(pages):
        writer.add_page(source[number % len(source)])
    writer.write(path)
    return path


def parse_all(paths: list[Path], processes: int) -> None:
    """Parse files, each of the processes started anew as for a batch."""
    shares = [paths[start::processes] for start in range(processes)]
    with ThreadPoolExecutor(processes) as executor:
        list(executor.map(_parse_share, shares))


def _parse_share(paths: list[Path]) -> None:
    with Parser() as parser:
        for path in paths:
            parser.parse(path, path.name)
