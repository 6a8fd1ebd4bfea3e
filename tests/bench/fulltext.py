"""Full-text search alone: is the right passage among the first 1, 5, 20 of all development sets?

    python tests/bench/fulltext.py --data DATA [--questions 100] [--no-record]

DATA holds eval_*.jsonl.xz (see the README there). Each set's passages are grouped into documents by their
source document; the title of a passage is its heading, as when files are read. Every passage competes for
every question. Asked are questions with an answer that share two rarer words with their passage or its title.
The peer of the same run is BM25 over all words of the question, without what names tell.
"""

import argparse
import hashlib
import json
import lzma
import random
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sqlalchemy.orm import Session

from storage import Database, PassageSpan, archives, documents, passages
from storage.fulltext import sqlite
from storage.fulltext.terms import split_query
from storage.ingest.parsed import ParsedDocument, ParsedPage
from tests.bench.record import record

SETS = "squad nq covidqa cuad statutes medical physics general pubmedqa".split()
DEPTHS = (1, 5, 20)


def read_set(data: Path, name: str) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """(passages, (question, cid of the passage that answers it)) of one set."""
    found, asked = [], []
    with lzma.open(data / f"eval_{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if name == "pubmedqa":
                found.append({"cid": line["id"], "doc": line["id"], "text": " ".join(line["contexts"])})
                asked.append((line["question"], line["id"]))
            elif line["rec"] == "passage":
                found.append(line)
            elif line["answers"] and line.get("spec", 2) >= 2:
                asked.append((line["question"], line["cid"]))
    return found, asked


def store(database: Database, sets: dict[str, list[dict[str, Any]]]) -> tuple[int, dict[int, str], int]:
    """(archive id, cid by passage id, number of documents)."""
    cids: dict[int, str] = {}
    with database.session() as s:
        archive_id = archives.create_archive(s, "development sets").id
        groups = defaultdict(list)
        for name, items in sets.items():
            for item in items:
                groups[f"{name}/{item.get('doc') or item.get('title')}"].append(item)
        for name, group in groups.items():
            text, spans = "", []
            for number, item in enumerate(group):
                piece = item["text"].strip() + "\n"
                place = (len(text), len(text) + len(piece), number, number + 1)
                spans.append(PassageSpan(number, *place, item.get("title", "")))
                text += piece
            title = name.partition("/")[2]
            parsed = ParsedDocument("text/plain", title, (ParsedPage(1, text),), (), ())
            sha256 = hashlib.sha256(name.encode()).hexdigest()
            row, _ = documents.add_document(s, archive_id, name[:180], sha256, len(text), "text/plain")
            documents.store_parsed(s, row.id, parsed, spans, len(group))
            for passage, item in zip(passages.list_passages(s, row.id), group, strict=True):
                cids[passage.id] = item["cid"]
    return archive_id, cids, len(groups)


def search(s: Session, archive_id: int, question: str) -> list[tuple[int, float]]:
    """As the product searches."""
    return passages.search_text(s, archive_id, question, max(DEPTHS))


def search_all_words(s: Session, archive_id: int, question: str) -> list[tuple[int, float]]:
    """One ranking by all words."""
    terms = replace(split_query(question), names=())
    return sqlite.search(s, archive_id, terms, max(DEPTHS), None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=100, help="of each set, drawn with seed 1")
    parser.add_argument("--no-record", action="store_true")
    chosen = parser.parse_args()
    read = {name: read_set(chosen.data, name) for name in SETS}
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/fulltext.db")
        database.migrate()
        archive_id, cids, count = store(database, {name: found for name, (found, _) in read.items()})
        recall: dict[str, dict[str, list[float]]] = {"search": {}, "all_words": {}}
        took: dict[str, list[float]] = {"search": [], "all_words": []}
        with database.session() as s:
            ways = {"search": search, "all_words": search_all_words}
            for name, (_, asked) in read.items():
                picked = draw.sample(asked, min(chosen.questions, len(asked)))
                for way, look in ways.items():
                    ranks = []
                    for question, cid in picked:
                        began = time.perf_counter()
                        found = [cids[key] for key, _ in look(s, archive_id, question)]
                        took[way].append(time.perf_counter() - began)
                        ranks.append(found.index(cid) if cid in found else max(DEPTHS))
                    shares = [round(sum(r < depth for r in ranks) / len(ranks), 3) for depth in DEPTHS]
                    recall[way][name] = shares
                    print(name, len(picked), way, shares, flush=True)
        database.close()
    values: dict[str, Any] = {"recall_at_1_5_20": recall}
    for way, times in took.items():
        sets = recall[way].values()
        values[f"{way}_mean"] = [round(sum(v[n] for v in sets) / len(sets), 3) for n in range(len(DEPTHS))]
        values[f"{way}_median_s"] = round(median(times), 4)
        values[f"{way}_p95_s"] = round(sorted(times)[int(0.95 * len(times))], 4)
    settings = {"passages": len(cids), "documents": count, "questions_a_set": chosen.questions, "seed": 1}
    if chosen.no_record:
        print(json.dumps({**settings, **values}))
    else:
        record("fulltext", settings, values)


if __name__ == "__main__":
    main()
