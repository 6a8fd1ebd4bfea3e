"""Passage recall over one archive with all development sets in it: words, codes, fused, re-ranked.

    python tests/bench/recall.py --data DATA --home HOME [--questions 200] [--rerank 25]
    python tests/bench/recall.py --data DATA --model HOME/models/default [--questions 200] [--rerank 25]

With --home the archive that tests/bench/worker.py read there (or shallow.py coded): millions of tokens,
passages as the product cuts them; right is one that overlaps the question's passage and holds the answer.
With --model an archive made here: passages stored as they are in the sets, grouped into documents by their
source document, and coded as the reader codes them (one stream, layers up to the recall layer only: the codes
are the same, as tests/test_convert_recall.py shows). Every passage of every set competes for every question.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from app.recalling import find_candidates, weigh
from engine import Engine
from engine.convert.data import EVAL_SETS, Passage, Question, read_eval
from engine.convert.features import passage_features
from engine.passages import sign_codes
from engine.recall import search_codes
from storage import Database, PassageSpan, archives, documents, passages
from storage.ingest.parsed import ParsedDocument, ParsedPage
from tests.bench.read_archive import RERANKED, ReadArchive
from tests.bench.record import record
from tests.bench.worker import NAME

Found = Callable[[str], list[int]]


class Archive:
    """The development sets in a database of their own; `cid` of each stored passage by id."""

    kind = "made"

    def __init__(self, folder: Path, engine: Engine, sets: dict[str, list[Passage]]) -> None:
        self.engine = engine
        self.database = Database(f"sqlite:///{folder / 'recall.db'}")
        self.database.migrate()
        self.cids: dict[int, str] = {}
        with self.database.session() as s:
            self.id = archives.create_archive(s, "development sets").id
        for name, items in sets.items():
            ordered = sorted(items, key=lambda p: p.doc or p.title)
            for number, (title, group) in enumerate(groupby(ordered, key=lambda p: p.doc or p.title)):
                self._store(f"{name}/{number:04d} {title}"[:180], list(group))
        with self.database.session() as s:
            self._code(s)
            self.ids, self.codes = passages.load_codes(s, self.id, engine.fingerprint)

    def _store(self, name: str, group: list[Passage]) -> None:
        text, spans = "", []
        for i, item in enumerate(group):
            piece = item.text + "\n"
            spans.append(PassageSpan(i, len(text), len(text) + len(piece), i, i + 1, item.title))
            text += piece
        parsed = ParsedDocument("text/plain", group[0].doc or group[0].title, (ParsedPage(1, text),), (), ())
        with self.database.session() as s:
            row, _ = documents.add_document(
                s, self.id, name, f"{hash(name):064x}"[-64:], len(text), "text/plain"
            )
            documents.store_parsed(s, row.id, parsed, spans, len(group))
            for stored, item in zip(passages.list_passages(s, row.id), group, strict=True):
                self.cids[stored.id] = item.cid

    def _code(self, s: Any) -> None:
        head = self.engine.decoder.weights.recall
        assert head is not None
        ids = sorted(self.cids)
        texts = [item.text for item in passages.get_passages(s, ids)]
        means = passage_features(self.engine, texts, [head.layer], head.salience)[:, 0]
        codes = sign_codes(means, head.mean, head.projection)
        passages.set_codes(s, self.engine.fingerprint, dict(zip(ids, codes, strict=True)))

    def by_words(self, question: str) -> list[int]:
        """Full-text search alone."""
        with self.database.session() as s:
            return [found for found, _ in passages.search_text(s, self.id, question, 20)]

    def by_codes(self, question: str) -> list[int]:
        """Hamming distance alone."""
        return self.ids[search_codes(self.codes, self.engine.encode_query(question), 20)[0]].tolist()

    def fused(self, question: str) -> list[int]:
        """What the product hands to the re-ranker."""
        return [item.id for item in self._candidates(question)]

    def reranked(self, question: str) -> list[int]:
        """What the product answers from, and one more."""
        ranked = weigh(self.engine, question, self._candidates(question), RERANKED)
        return [item.evidence.id for item in ranked]

    @property
    def passages(self) -> int:
        """How many compete."""
        return len(self.cids)

    def asked(self, questions: list[Question]) -> list[Question]:
        """Those whose passage the archive holds: all."""
        return questions

    def place(self, found: list[int], item: Question, gold: Passage) -> int | None:
        """The rank, from 0, of the question's passage."""
        cids = [self.cids[i] for i in found]
        return cids.index(item.cid) if item.cid in cids else None

    def _candidates(self, question: str) -> Any:
        services = SimpleNamespace(engine=self.engine, database=self.database)
        context = SimpleNamespace(ids=self.ids, codes=self.codes)
        return find_candidates(services, context, self.id, question, None)


def measure(
    archive: Archive | ReadArchive,
    questions: list[Question],
    gold: dict[str, Passage],
    found: Found,
    counts: tuple[int, ...] = (1, 5, 12, 20),
) -> dict[str, float]:
    """Recall among the first `counts` (the product takes 12 to weigh), and median milliseconds a question."""
    places, times = [], []
    for item in questions:
        started = time.perf_counter()
        ids = found(item.question)
        times.append(time.perf_counter() - started)
        places.append(archive.place(ids, item, gold[item.cid]))
    shares = {
        f"recall@{k}": round(sum(p is not None and p < k for p in places) / len(places), 3) for k in counts
    }
    return shares | {"ms": round(1000 * median(times), 1)}


def measure_sets(archive: Archive | ReadArchive, options: argparse.Namespace) -> None:
    """A line of results for every development set."""
    for name in EVAL_SETS:
        items, questions = read_eval(options.data, name)
        gold, draw = {item.cid: item for item in items}, random.Random(0)
        asked = [q for q in archive.asked(questions) if q.answers and q.specific >= 1]
        asked = draw.sample(asked, min(options.questions, len(asked)))
        if not asked:
            continue
        ways = {"words": archive.by_words, "codes": archive.by_codes, "fused": archive.fused}
        values: dict[str, Any] = {way: measure(archive, asked, gold, found) for way, found in ways.items()}
        if options.rerank:
            some = asked[: options.rerank]
            values["reranked"] = measure(archive, some, gold, archive.reranked, (1, RERANKED))
        settings = {"set": name, "passages": archive.passages, "questions": len(asked)}
        settings |= {"reranked_questions": options.rerank, "archive": archive.kind}
        record("recall", settings, values, options.out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--home", type=Path, help="home folder with the archive that worker.py read")
    where.add_argument("--model", type=Path, help="model folder; the archive is made here")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=200, help="a set")
    parser.add_argument("--rerank", type=int, default=0, help="questions a set for the re-ranked figure")
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    if options.home:
        measure_sets(ReadArchive(options.home, NAME), options)
        return
    sets = {name: read_eval(options.data, name)[0] for name in EVAL_SETS}
    with tempfile.TemporaryDirectory() as folder:
        measure_sets(Archive(Path(folder), Engine.load(options.model), sets), options)


if __name__ == "__main__":
    main()
