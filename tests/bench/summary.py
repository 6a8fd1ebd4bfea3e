"""Do the sentences chosen for a summary say what the authors' own summary of the same text says?

    python tests/bench/summary.py --home HOME --data DATA [--documents 40]

The authors' summary is cut off and kept as the reference: of textbook sections their "Summary", of abstracts
their conclusion, of encyclopaedia articles their first two paragraphs. The rest is read as an archive by a
worker, as the product does. The same number of sentences is chosen by each order. Figures: F1 and recall of
the reference's content stems, F1 of stem pairs, means over documents, and the difference to the order by
words and codes with its 95 % interval (bootstrap over documents). The weights of app/salience.py were chosen
on nine textbook sections of the half that `drawn` leaves out.
"""

import argparse
import random
import re
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from app import library
from app.salience import SHORTEST, Candidate, Rarity, choose_sentences, document_words
from app.services import Services
from app.settings import Options
from app.summarising import sentences_each
from app.weighing import Weighing
from app.worker import Worker
from engine.convert.data import read_eval, read_lines
from engine.sentences import content_terms, sentence_spans
from storage import Document, PassageText, documents, passages
from tests.bench.record import record

HEADING = re.compile(r"\n(?:(?:Section )?Summary|Key Concepts and Summary|Chapter Review)\n", re.IGNORECASE)
SHORTEST_REFERENCE, SHORTEST_BODY = 250, 3000
LEAD_PARAGRAPHS = 2
RESAMPLES = 2000
FIGURES = ("f1", "recall", "pairs_f1")


@dataclass(frozen=True, slots=True)
class Summed:
    """A text and what its authors say of it in short."""

    title: str
    body: str
    reference: str


def textbook(data: Path) -> Iterator[Summed]:
    """Sections of books that end in a summary of their own."""
    for field in ("physics", "medical", "general"):
        for line in read_lines(data / f"text_{field}.jsonl.xz"):
            found = HEADING.search(line["text"])
            if found is None:
                continue
            reference = line["text"][found.end() :].split("\n\n")[0]
            body = line["text"][: found.start()]
            if len(reference) >= SHORTEST_REFERENCE and len(body) >= SHORTEST_BODY:
                yield Summed(line["title"], body.removeprefix(line["title"]).strip(), reference)


def abstracts(data: Path) -> Iterator[Summed]:
    """Abstracts without their conclusion."""
    for line in read_lines(data / "eval_pubmedqa.jsonl.xz"):
        if line["split"] == "test":
            yield Summed(line["question"], "\n\n".join(line["contexts"]), line["long_answer"])


def articles(data: Path) -> Iterator[Summed]:
    """Encyclopaedia articles without their first paragraphs."""
    for title, group in groupby(read_eval(data, "squad")[0], key=lambda item: item.title):
        texts = [item.text for item in group]
        lead, body = texts[:LEAD_PARAGRAPHS], texts[LEAD_PARAGRAPHS:]
        yield Summed(title, "\n\n".join(body), " ".join(lead))


SETS: dict[str, Callable[[Path], Iterator[Summed]]] = {
    "textbook": textbook,
    "abstracts": abstracts,
    "articles": articles,
}


def drawn(data: Path, name: str, number: int, seed: int, tuned: bool = False) -> list[Summed]:
    """`number` of the half of a set that the weights were not chosen on, or of the half they were."""
    found = [item for item in SETS[name](data) if (zlib.crc32(item.title.encode()) % 2 == 0) is tuned]
    return random.Random(seed).sample(found, min(number, len(found)))


class Read:
    """A set read as an archive by a worker, in a home of its own with the model of another."""

    def __init__(self, home: Path, model: Path, items: list[Summed]) -> None:
        (home / "models").mkdir(parents=True)
        (home / "models" / "default").symlink_to(model.resolve())
        self.services = Services(Options(home=home))
        archive = library.create_archive(self.services, "summaries")
        files = home / "in"
        files.mkdir()
        for number, item in enumerate(items):
            (files / f"{number:03d}.md").write_text(f"# {item.title}\n\n{item.body}\n", "utf-8")
        library.add_files(self.services, archive, sorted(files.iterdir()))
        Worker(self.services).run_until_idle()
        self.archive, self.items = archive, items
        self.context = self.services.contexts.get(self.services, archive.id)
        with self.services.database.session() as s:
            ids, _ = passages.passage_documents(s, archive.id)
            self.rarity = Rarity(item.text for item in passages.get_passages(s, ids.tolist()))
            self.rows = documents.list_documents(s, archive.id)

    def item(self, row: Document) -> Summed:
        """What a document was written from."""
        return self.items[int(Path(row.name).name[:3])]

    def texts(self, row: Document) -> tuple[list[PassageText], dict[int, bytes]]:
        """A document's passages and their recall codes."""
        with self.services.database.session() as s:
            found = passages.get_passages(s, [item.id for item in passages.list_passages(s, row.id)])
            fingerprint = self.services.engine.fingerprint
            ids, codes = passages.load_codes(s, self.archive.id, fingerprint, [row.id])
        return found, {key: code.tobytes() for key, code in zip(ids.tolist(), codes, strict=True)}


def judged(chosen: Sequence[Candidate], reference: str) -> tuple[float, float, float]:
    """F1 and recall of the reference's stems, F1 of its stem pairs."""
    wanted = content_terms(reference)
    said = [content_terms(one.passage.text[one.start : one.end]) for one in chosen]
    stems, pairs = {t for terms in said for t in terms}, {p for terms in said for p in pairwise(terms)}
    recall = len(stems & set(wanted)) / max(1, len(set(wanted)))
    return f1(stems, set(wanted)), recall, f1(pairs, set(pairwise(wanted)))


def f1(one: set[Any], other: set[Any]) -> float:
    """Twice what both share over both."""
    return 2 * len(one & other) / max(1, len(one) + len(other))


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % of the means of samples drawn from the documents."""
    draw = random.Random(0)
    means = sorted(fmean(draw.choices(differences, k=len(differences))) for _ in range(RESAMPLES))
    return round(means[RESAMPLES // 40], 4), round(means[-RESAMPLES // 40], 4)


def first_sentences(found: Sequence[PassageText], count: int) -> list[Candidate]:
    """The first `count` sentences of some length."""
    spans = ((item, start, end) for item in found for start, end in sentence_spans(item.text))
    whole = (
        Candidate(item, start, end, 0.0, frozenset()) for item, start, end in spans if end - start >= SHORTEST
    )
    return list(islice(whole, count))


def chosen(read: Read, row: Document) -> dict[str, tuple[list[Candidate], float]]:
    """A document's sentences by each order, with seconds: the first ones, by words and codes, and weighed by
    the model, behind nothing but the document and behind the archive's saved state too.
    """
    engine, (found, codes) = read.services.engine, read.texts(row)
    weights, (count,) = document_words(found, read.rarity), sentences_each([row])
    title, state = read.item(row).title, read.context.state

    def weighed(before: Any) -> list[Candidate]:
        return choose_sentences(found, codes, weights, count, Weighing(engine, before, title, found))

    ways: dict[str, Callable[[], list[Candidate]]] = {
        "first": lambda: first_sentences(found, count),
        "words": lambda: choose_sentences(found, codes, weights, count),
        "weighed": lambda: weighed(None),
        "weighed_on_archive": lambda: weighed(state),
    }
    results = {}
    for name, way in ways.items():
        started = time.perf_counter()
        results[name] = way(), time.perf_counter() - started
    return results


def measure(read: Read) -> dict[str, Any]:
    """Means over the documents by order, and what weighing changed."""
    rows: dict[str, list[tuple[float, float, float]]] = {}
    seconds: dict[str, list[float]] = {}
    for row in read.rows:
        for name, (sentences, taken_s) in chosen(read, row).items():
            rows.setdefault(name, []).append(judged(sentences, read.item(row).reference))
            seconds.setdefault(name, []).append(taken_s)
        print(
            row.name,
            {name: round(fmean(r[0] for r in got), 3) for name, got in rows.items()},
            file=sys.stderr,
        )
    values: dict[str, Any] = {"documents": len(read.rows), "tokens": sum(row.tokens for row in read.rows)}
    for name, got in rows.items():
        means = [round(fmean(column), 4) for column in zip(*got, strict=True)]
        values[name] = dict(zip(FIGURES, means, strict=True)) | {"s_median": round(median(seconds[name]), 2)}
    for name in ("weighed", "weighed_on_archive"):
        changes = [
            [a - b for a, b in zip(*pair, strict=True)]
            for pair in zip(rows[name], rows["words"], strict=True)
        ]
        gains = {
            figure: list(column) for figure, column in zip(FIGURES, zip(*changes, strict=True), strict=True)
        }
        values[f"{name}_over_words"] = {
            figure: {"mean": round(fmean(gain), 4), "interval": interval(gain)}
            for figure, gain in gains.items()
        }
    return values


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the prepared model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=40, help="a set")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    for name in options.sets:
        items = drawn(options.data, name, options.documents, options.seed)
        with tempfile.TemporaryDirectory() as folder:
            read = Read(Path(folder), options.home / "models" / "default", items)
            values = measure(read)
            read.services.close()
        record("summary", {"set": name, "seed": options.seed}, values, options.out)


if __name__ == "__main__":
    main()
