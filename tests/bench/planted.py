"""Planted facts: is the right passage found, the question answered, the absent one refused, every quote
verbatim?

    python tests/bench/planted.py --home HOME [--documents 90 --words 1800 --facts 40]

Makes an archive of at least 200,000 tokens, reads it, and asks every planted fact in its own words and in
other words, and questions about things no document mentions, through the same jobs as the page.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.recalling import as_evidence, find_candidates, weigh
from app.services import Services
from app.settings import Options
from storage import archives
from tests.bench.archive import Planted, write_archive
from tests.bench.record import ROOT, record

NAME = "planted facts"
AMONG = 5


def command(home: Path, *arguments: str) -> str:
    """Run a command of the product and return what it prints."""
    line = [sys.executable, "-m", "app", "--home", str(home), *arguments]
    return subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def ask_all(home: Path, questions: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Answers by question id, asked in one batch."""
    with tempfile.TemporaryDirectory() as folder:
        asked, out = Path(folder) / "questions.jsonl", Path(folder) / "answers.jsonl"
        lines = [json.dumps({"id": key, "question": text}) for key, text in questions.items()]
        asked.write_text("\n".join(lines) + "\n", "utf-8")
        command(home, "ask", NAME, "--batch", str(asked), "--out", str(out))
        return {row["id"]: row for row in map(json.loads, out.read_text("utf-8").splitlines())}


def ranks(home: Path, questions: list[tuple[str, Planted]]) -> dict[str, list[int]]:
    """For each question the place (0 is first) of the passage that states the fact: fused, and re-ranked."""
    services = Services(Options(home=home))
    with services.database.session() as s:
        archive = archives.get_archive(s, NAME)
    context = services.contexts.get(services, archive.id)
    places: dict[str, list[int]] = {"fused": [], "reranked": []}
    for question, planted in questions:
        found = find_candidates(services, context, archive.id, question, None)
        ranked = weigh(services.engine, question, found, AMONG)
        for name, evidence in (("fused", as_evidence(found)), ("reranked", [w.evidence for w in ranked])):
            hits = [i for i, e in enumerate(evidence) if planted.fact.sentence in " ".join(e.text.split())]
            places[name].append(hits[0] if hits else 999)
    return places


def shares(places: list[int]) -> dict[str, float]:
    """Share of questions whose passage is first, and among the first five."""
    return {f"rank{k}": round(sum(p < k for p in places) / len(places), 3) for k in (1, AMONG)}


def judge(facts: list[Planted], answers: dict[str, dict[str, Any]], prefix: str) -> dict[str, float]:
    """Shares over the facts: right answers, right document cited, refused."""
    rows = [(fact, answers[f"{prefix}{i}"]) for i, fact in enumerate(facts)]

    def share(test: Any) -> float:
        return round(sum(bool(test(fact, row)) for fact, row in rows) / len(rows), 3)

    return {
        "right": share(lambda f, r: f.fact.answer.lower() in r["answer"].lower()),
        "right_document_cited": share(
            lambda f, r: any(c["document"].endswith(f.document) for c in r["citations"])
        ),
        "refused": share(lambda f, r: r["status"] == "not_found"),
    }


def verbatim(folder: Path, answers: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Quotes shown as verified, and how many of them stand word for word in the file."""
    quotes = [c for row in answers.values() for c in row["citations"]]
    texts = {p.name: p.read_text("utf-8") for p in folder.iterdir()}
    shown = [c for c in quotes if c["verified"]]
    true = sum(c["quote"] in texts[Path(c["document"]).name] for c in shown)
    return {"quotes": len(quotes), "shown_as_verified": len(shown), "verbatim_of_these": true}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="home folder with the prepared model")
    parser.add_argument("--documents", type=int, default=90)
    parser.add_argument("--words", type=int, default=1800)
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.home / "planted"
    facts, absent = write_archive(folder, options.documents, options.words, options.facts, options.seed)
    known = any(a["name"] == NAME for a in json.loads(command(options.home, "archives", "--json")))
    started = time.perf_counter()
    command(options.home, "ingest", NAME, str(folder))
    reading_s = time.perf_counter() - started
    listed = json.loads(command(options.home, "archives", "--json"))
    tokens = next(a["tokens_read"] for a in listed if a["name"] == NAME)
    questions = {f"own{i}": p.fact.question for i, p in enumerate(facts)}
    questions |= {f"other{i}": p.fact.paraphrase for i, p in enumerate(facts)}
    questions |= {f"absent{i}": question for i, question in enumerate(absent)}
    started = time.perf_counter()
    answers = ask_all(options.home, questions)
    asking_s = time.perf_counter() - started
    own = ranks(options.home, [(p.fact.question, p) for p in facts])
    other = ranks(options.home, [(p.fact.paraphrase, p) for p in facts])
    ttft = [row["run"]["ttft_s"] for row in answers.values() if row["run"]["ttft_s"] is not None]
    values = {
        "documents": options.documents,
        "tokens": tokens,
        # An archive that an earlier run left behind was not read again.
        "ingest_and_read_s": None if known else round(reading_s, 1),
        "read_tokens_per_s": None if known else round(tokens / reading_s, 1),
        "questions": len(questions),
        "s_per_question": round(asking_s / len(questions), 2),
        "ttft_s_median": round(statistics.median(ttft), 2) if ttft else None,
        "shared_words": {**judge(facts, answers, "own"), **{k: shares(v) for k, v in own.items()}},
        "paraphrased": {**judge(facts, answers, "other"), **{k: shares(v) for k, v in other.items()}},
        "absent_refused": round(
            sum(answers[f"absent{i}"]["status"] == "not_found" for i in range(len(absent))) / len(absent), 3
        ),
        **verbatim(folder, answers),
    }
    record("planted", {"seed": options.seed, "facts": options.facts}, values)


if __name__ == "__main__":
    main()
