"""Needles in a read archive: is a fact that stands once found, cited and told, at any length and depth?

    python tests/bench/needles.py --home HOME [--bare [--dense]]

HOME holds the archive that tests/bench/worker.py --data read. For each length n the questions are about the
needles planted in its first n tokens and only the documents there are asked, on top of the state of the whole
archive (--bare: on no state; --dense: weighed and answered without spike coding too). Every fact is asked in
its own words and in others.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from app.recalling import CANDIDATES, find_candidates, weigh
from engine import ContextState, Engine
from engine.answering import AnswerResult, answer
from tests.bench.data_archive import NEEDLES
from tests.bench.read_archive import ReadArchive
from tests.bench.record import record
from tests.bench.worker import NAME

WORDINGS = ("question", "paraphrase")


def trial(
    archive: ReadArchive,
    engine: Engine,
    needle: dict[str, Any],
    wording: str,
    documents: list[int],
    state: ContextState | None,
) -> dict[str, Any]:
    """Whether the needle's passage is among the candidates, weighed best, cited; if the answer is right."""
    services, context, started = archive.services, archive.context, time.perf_counter()
    found = find_candidates(services, context, archive.id, needle[wording], documents)
    ranked = weigh(engine, needle[wording], found)
    result: AnswerResult | None = None
    for event in answer(engine, state, needle[wording], ranked):
        result = event.result or result
    assert result is not None
    right = {item.id for item in found if needle["sentence"] in " ".join(item.text.split())}
    return {
        f"among_{CANDIDATES}": bool(right),
        "weighed_best": bool(ranked) and ranked[0].evidence.id in right,
        "cited": any(quote.evidence_id in right for quote in result.quotes),
        "right": needle["answer"].casefold() in result.answer.casefold(),
        "refused": not result.quotes,
        "s": time.perf_counter() - started,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the archive")
    parser.add_argument("--bare", action="store_true", help="without the archive's state")
    parser.add_argument("--dense", action="store_true", help="without spike coding; needs --bare")
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    if options.dense and not options.bare:
        parser.error("--dense needs --bare: the archive's state was read with spike coding")
    archive = ReadArchive(options.home, NAME)
    services, state = archive.services, None if options.bare else archive.context.state
    engine = Engine.load(services.model_dir, spiking=False) if options.dense else services.engine
    entries = archive.context.plan.entries
    needles = json.loads((options.home / NEEDLES).read_text("utf-8"))
    for length in sorted({needle["length"] for needle in needles}):
        asked = [needle for needle in needles if needle["length"] == length]
        files = {archive.files[needle["cid"]] for needle in asked}
        # Lengths were planned in letters: the last needle may stand a little beyond.
        end = max(length, *(entry.end for entry in entries if Path(entry.name).name in files))
        inside = [entry.document_id for entry in entries if entry.end <= end]
        for wording in WORDINGS:
            rows = [trial(archive, engine, needle, wording, inside, state) for needle in asked]
            shares = {name: round(sum(row[name] for row in rows) / len(rows), 3) for name in rows[0]}
            settings = {"tokens": length, "documents": len(inside), "needles": len(asked), "wording": wording}
            settings |= {"state_tokens": state.tokens_read if state else 0, "spiking": engine.spiking}
            settings["fingerprint"] = engine.fingerprint[:12]
            record("needles", settings, shares, options.out)


if __name__ == "__main__":
    main()
