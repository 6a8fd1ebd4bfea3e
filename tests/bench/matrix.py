"""Matrix: how many cells a minute, and how many of them right?

    python tests/bench/matrix.py --home HOME [--documents 100 --words 350 --bare]

Writes agreements whose five clauses are worded in several ways and left out in a fifth of the cases, among
clauses about other things; reads them, fills the contracts template, and compares every cell with what was
planted. The wording is this script's own, so the shares say how the choice works, not how contracts are.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app import library, matrix
from app.bench.text import CITIES, COMPANIES, ENDINGS, filler
from app.services import Services
from app.settings import Options
from app.worker import Worker
from storage import Archive, NotFoundError, archives, matrices
from tests.bench.record import record

LAWS = "England Norway Italy Portugal Poland France Switzerland Finland Ireland Austria Estonia".split()
ABSENT = 0.2


@dataclass(frozen=True, slots=True)
class Clause:
    """A planted sentence and what its answer must hold; no sentence where the clause is left out."""

    text: str = ""
    values: tuple[str, ...] = ()


def clauses(draw: random.Random, who: str, other: str) -> dict[str, Clause]:
    """One wording of each of the five clauses, with values of its own."""
    law, place = draw.choice(LAWS), draw.choice(CITIES.split())
    years, days, months = draw.randrange(2, 12), draw.randrange(10, 120), draw.randrange(1, 12)
    cap = f"{draw.randrange(50, 990)},000 euros"
    choices = {
        "Parties": [
            f"This agreement is made between {who} and {other}.",
            f"{who} (the Supplier) and {other} (the Customer) have agreed as follows.",
            f"The parties are {who}, with its seat in {place}, and {other}.",
        ],
        "Governing law": [
            f"This agreement is governed by the laws of {law}.",
            f"The law of {law} applies, to the exclusion of its conflict rules.",
            f"It shall be construed in accordance with the law of {law}.",
        ],
        "Term": [
            f"The agreement begins on 1 March and runs for {years} years.",
            f"The initial term is {years} years from the date of signature.",
            f"It remains in force for a period of {years} years.",
        ],
        "Termination notice": [
            f"Either party may terminate this agreement by giving {days} days written notice.",
            f"The notice period for termination is {months} months to the end of a quarter.",
            f"The Customer may end the contract early with {days} days of prior notice.",
        ],
        "Liability cap": [
            f"The total liability of {who} shall not exceed {cap}.",
            f"Liability under this agreement is limited to {cap} in aggregate.",
            f"Neither side owes the other more than {cap} in damages.",
        ],
    }
    values = {
        "Parties": (who, other),
        "Governing law": (law,),
        "Term": (f"{years} years",),
        "Termination notice": (f"{days} days", f"{months} months"),
        "Liability cap": (cap,),
    }
    texts = {label: draw.choice(wordings) for label, wordings in choices.items()}
    return {
        label: Clause(text, tuple(value for value in values[label] if value in text))
        for label, text in texts.items()
    }


def write_agreements(folder: Path, documents: int, words: int, seed: int = 0) -> list[dict[str, Clause]]:
    """Agreements with planted clauses; returns for each what it says under every label."""
    draw = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    planted = []
    for number in range(documents):
        who, other = (f"{draw.choice(COMPANIES.split())} {draw.choice(ENDINGS)}" for _ in range(2))
        said = {
            label: Clause() if draw.random() < ABSENT else clause
            for label, clause in clauses(draw, who, other).items()
        }
        sentences = [filler("legal", who, draw) for _ in range(max(8, words // 15))]
        for text in (clause.text for clause in said.values() if clause.text):
            sentences.insert(draw.randrange(len(sentences)), text)
        paragraphs = [" ".join(sentences[at : at + 5]) for at in range(0, len(sentences), 5)]
        text = "\n\n".join([f"Agreement {number + 1}", *paragraphs])
        (folder / f"agreement-{number + 1:04d}.txt").write_text(text + "\n", "utf-8")
        planted.append(said)
    return planted


def judge(services: Services, matrix_id: int, planted: list[dict[str, Clause]]) -> dict[str, Any]:
    """Shares of cells: where there is an answer, its sentence quoted and its value in the answer; where there
    is none, "not found"; by question.
    """
    with services.database.session() as s:
        columns = matrices.get_matrix(s, matrix_id).questions
        table = matrices.load_table(s, matrix_id)
    present: dict[str, list[bool]] = {column.label: [] for column in columns}
    refused: dict[str, list[bool]] = {column.label: [] for column in columns}
    cited = verified = short = 0
    worded: list[bool] = []
    for document in table.documents:
        said = planted[int(Path(document.name).stem.split("-")[1]) - 1]
        for column in columns:
            cell = table.cells[document.id, column.id]
            truth = said[column.label]
            cited += bool(cell.quote)
            verified += cell.verified
            short += bool(cell.answer) and len(cell.answer) < len(cell.quote)
            if truth.text:
                present[column.label].append(truth.text in " ".join(cell.quote.split()))
                worded.append(bool(cell.answer) and all(value in cell.answer for value in truth.values))
            else:
                refused[column.label].append(cell.status == "not_found")
    both = {label: (share(present[label]), share(refused[label])) for label in present}
    return {
        "right_where_stated": share([*chain(*present.values())]),
        "answer_holds_the_value": share(worded),
        "shorter_than_the_quote": [short, cited],
        "not_found_where_absent": share([*chain(*refused.values())]),
        "by_question": {label: {"right": a, "not_found": b} for label, (a, b) in both.items()},
        "quotes_verified": [verified, cited],
    }


def share(values: list[bool]) -> float | None:
    """The part that is true; None of nothing."""
    return round(statistics.mean(values), 3) if values else None


def prepare(
    services: Services, name: str, options: argparse.Namespace
) -> tuple[Archive, list[dict[str, Clause]]]:
    """The archive of agreements, read; kept in HOME for the next run."""
    with tempfile.TemporaryDirectory() as folder:
        planted = write_agreements(Path(folder), options.documents, options.words, options.seed)
        try:
            with services.database.session() as s:
                return archives.get_archive(s, name), planted
        except NotFoundError:
            archive = library.create_archive(services, name)
            library.add_files(services, archive, sorted(Path(folder).iterdir()))
            Worker(services).run_until_idle()
    return archive, planted


def timed(run: Callable[[], Any]) -> float:
    """Seconds of a call."""
    began = time.monotonic()
    run()
    return time.monotonic() - began


def main() -> None:
    """Read, fill, judge, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="a home folder with a prepared model")
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--words", type=int, default=350)
    parser.add_argument("--seed", type=int, default=1, help="0 was looked at when the rule was chosen")
    parser.add_argument("--bare", action="store_true", help="without the template's other words")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--note", default="", help="what else ran on the machine")
    options = parser.parse_args()
    services = Services(Options(home=options.home))
    archive, planted = prepare(
        services, f"agreements {options.documents} {options.words} {options.seed}", options
    )
    assert services.engine.tokenizer is not None
    asked = matrix.template_questions("contracts")
    if options.bare:
        asked = [replace(item, terms="") for item in asked]
    made = matrix.make(services, archive, "Contracts", asked)
    seconds = timed(lambda: Worker(services).run_until_idle())
    cells = options.documents * len(planted[0])
    with services.database.session() as s:
        run = matrices.get_matrix(s, made.id).run
    values = {
        "cells": cells,
        "seconds": round(seconds, 1),
        "cells_per_minute": round(60 * cells / seconds, 1),
        "tokens_per_cell": round(run["tokens"] / cells, 1),
        "tokens_per_s": round(run["tokens"] / seconds, 1),
        **judge(services, made.id, planted),
    }
    names = ("documents", "words", "seed", "bare", "note")
    settings = {name: getattr(options, name) for name in names}
    record("matrix", settings, values, options.out)


if __name__ == "__main__":
    main()
