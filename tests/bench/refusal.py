"""Fit the refusal score of engine/refusal.py on questions whose document is, or is not, in the archive.

    python tests/bench/refusal.py --model HOME/models/default --data DATA [--questions 50] [--planted HOME]

A third of each set's documents is left out. Questions are answered by the eight best passages by words, re-
ranked by the model, as the product does; the numbers the score takes are logged for each question, then
a logistic curve is fitted (and judged on questions left out of the fit, five-fold).

Questions of these sets share words with their passages. --planted adds questions in other words: those of the
archive that tests/bench/planted.py --seed 1 has read in HOME, to be answered where the best passage is the
right one. Test the weights on another seed.
"""

import argparse
import json
import random
import sqlite3
import sys
import tempfile
import zlib
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from app.recalling import EVIDENCE, find_candidates, weigh
from app.services import Services
from app.settings import Options
from engine import Engine
from engine.answering import FOUND_NEEDED
from engine.convert.data import Passage, Question, read_eval
from engine.evidence import Evidence, rank_evidence
from engine.refusal import ARCHIVE, NAMED_NEEDED, found_probability
from engine.support import SentenceIndex
from storage import archives
from storage.fulltext.terms import split_query
from tests.bench.archive import write_archive
from tests.bench.planted import NAME
from tests.bench.record import record

SETS = ("squad", "physics", "medical", "statutes", "covidqa", "nq")
CANDIDATES = 8
PLANTED_SEED = 1


class Words:
    """BM25 over some passages, as the product's full-text index does it."""

    def __init__(self, passages: list[Passage]) -> None:
        self.passages = passages
        self._db = sqlite3.connect(":memory:")
        self._db.execute(
            "CREATE VIRTUAL TABLE t USING fts5(body, tokenize='porter unicode61 remove_diacritics 2')"
        )
        rows = [(i, f"{p.title} {p.text}") for i, p in enumerate(passages)]
        self._db.executemany("INSERT INTO t(rowid, body) VALUES (?, ?)", rows)

    def search(self, question: str) -> list[Passage]:
        """The best passages for a question."""
        query = " OR ".join(f'"{term}"' for term in split_query(question).words)
        if not query:
            return []
        sql = f"SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT {CANDIDATES}"
        return [self.passages[row[0]] for row in self._db.execute(sql, (query,))]


def left_out(item: Passage | Question, group: dict[str, str]) -> bool:
    """Whether the document of a passage is one of the third that the archive lacks."""
    return zlib.crc32(group[item.cid].encode()) % 3 == 0


def measure(engine: Engine, data: Path, name: str, count: int) -> list[dict[str, object]]:
    """The score's inputs for `count` questions of a set, half of them about documents left out."""
    passages, questions = read_eval(data, name)
    group = {p.cid: p.title or p.doc for p in passages}
    index = Words([p for p in passages if not left_out(p, group)])
    draw, rows = random.Random(0), []
    for absent in (False, True):
        fitting = [q for q in questions if q.answers and q.specific >= 1 and left_out(q, group) is absent]
        for item in draw.sample(fitting, min(count // 2, len(fitting))):
            found = [Evidence(i, p.title, "", p.text) for i, p in enumerate(index.search(item.question))]
            ranked = rank_evidence(engine, item.question, found, EVIDENCE)
            if not ranked:
                continue
            ((_, relevance),) = SentenceIndex([w.evidence for w in ranked]).best_for_question(item.question)
            best = ranked[0]
            row = {"set": name, "found": not absent, "gain": best.gain, "odds": best.odds}
            rows.append({**row, "relevance": relevance})
    return rows


def planted(home: Path) -> list[dict[str, object]]:
    """The same for planted facts in their own and in other words, whose names the archive holds."""
    services = Services(Options(home=home))
    with services.database.session() as s:
        archive = archives.get_archive(s, NAME)
    context, rows = services.contexts.get(services, archive.id), []
    with tempfile.TemporaryDirectory() as folder:
        facts, _ = write_archive(Path(folder), seed=PLANTED_SEED)
    for wording in ("question", "paraphrase"):
        for item in facts:
            question = getattr(item.fact, wording)
            found = find_candidates(services, context, archive.id, question, None)
            ranked = weigh(services.engine, question, found)
            index, best = SentenceIndex([w.evidence for w in ranked]), ranked[0]
            if index.named(question) < NAMED_NEEDED:
                continue
            ((_, relevance),) = index.best_for_question(question)
            right = item.fact.sentence in " ".join(best.evidence.text.split())
            row = {"set": f"planted {wording}", "found": right, "gain": best.gain, "odds": best.odds}
            rows.append({**row, "relevance": relevance})
    return rows


def fit(inputs: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Logistic regression [1 + n]: intercept first; light ridge on the slopes."""
    weights = torch.zeros(inputs.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(weights[0] + inputs @ weights[1:], found)
        value = value + 1e-3 * weights[1:].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach()


def judge(rows: list[dict[str, object]]) -> dict[str, object]:
    """Five-fold shares of right decisions, and the weights fitted on everything."""
    inputs = torch.tensor([[r["gain"], r["odds"], r["relevance"]] for r in rows], dtype=torch.float64)
    found = torch.tensor([float(bool(r["found"])) for r in rows], dtype=torch.float64)
    fold = torch.tensor(
        [i % 5 for i in torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    )
    said = torch.zeros(len(rows), dtype=torch.bool)
    for part in range(5):
        weights = fit(inputs[fold != part], found[fold != part])
        said[fold == part] = (weights[0] + inputs[fold == part] @ weights[1:]) > 0
    yes = found > 0.5
    return {
        "questions": len(rows),
        "right": round(float((said == yes).double().mean()), 3),
        "answered_when_there": round(float(said[yes].double().mean()), 3),
        "refused_when_absent": round(float((~said[~yes]).double().mean()), 3),
        "weights": [round(float(w), 3) for w in fit(inputs, found)],
    }


def now(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Share of right decisions with the weights as they are shipped, by set."""
    said: dict[str, list[bool]] = {}
    for r in rows:
        probability = found_probability(r["gain"], r["odds"], r["relevance"])
        said.setdefault(r["set"], []).append((probability >= FOUND_NEEDED) == r["found"])
    return {name: round(sum(right) / len(right), 3) for name, right in said.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=50, help="a set")
    parser.add_argument("--planted", type=Path, help="home folder of tests/bench/planted.py --seed 1")
    parser.add_argument("--rows", type=Path, help="keep the single measurements here (JSON lines)")
    options = parser.parse_args()
    engine, rows = Engine.load(options.model), []
    for name in SETS:
        rows += measure(engine, options.data, name, options.questions)
        print(name, len(rows), file=sys.stderr, flush=True)
        if options.rows:
            options.rows.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    sets = [*SETS]
    if options.planted:
        rows += planted(options.planted)
        sets.append("planted")
    shared = {"sets": sets, "a_set": options.questions, "candidates": CANDIDATES}
    shipped = {"shipped": list(astuple(ARCHIVE)), "right_as_shipped": now(rows)}
    record("refusal", shared, judge(rows) | shipped)


if __name__ == "__main__":
    main()
