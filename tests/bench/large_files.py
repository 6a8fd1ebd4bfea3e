"""Many small documents and one long book, made on the fly for large.py."""

import random
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

from app.bench.text import FIELDS, filler, subjects


def write_documents(folder: Path, number: int, draw: random.Random) -> list[Path]:
    """Small text files of about 150 words."""
    names, paths = {field: subjects(field, draw) for field in FIELDS}, []
    for at in range(number):
        field = FIELDS[at % len(FIELDS)]
        who = next(names[field])
        path = folder / field / f"{field}-{at:05d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(filler(field, who, draw) for _ in range(10)) + "\n", "utf-8")
        paths.append(path)
    return paths


def write_book(path: Path, pages: int, draw: random.Random) -> Path:
    """A PDF of `pages` pages of some 200 words; each names its number."""
    canvas = Canvas(str(path))
    for number in range(1, pages + 1):
        for line in range(20):
            words = mark_of(number) if line == 10 else filler("physics", "Calder", draw)[:95]
            canvas.drawString(60, 750 - 30 * line, words)
        canvas.showPage()
    canvas.save()
    return path


def mark_of(number: int) -> str:
    """The sentence that tells a page of the book from the others."""
    return f"Specimen {number} of the book was weighed twice."
