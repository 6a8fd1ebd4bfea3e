"""Time to the first token of a question on an archive that was read before: state, recall, evidence, prompt.

    python tests/bench/second_question.py --home HOME --data DATA [--questions 20]

HOME holds the archive that tests/bench/worker.py read. `from_disk` is the first question of a process with
the model loaded (state and codes come from disk), `from_memory` every one after it.
"""

import argparse
import random
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from app.recalling import weigh
from engine.answering import answer
from engine.convert.data import EVAL_SETS, read_eval
from tests.bench.read_archive import ReadArchive
from tests.bench.record import record
from tests.bench.worker import NAME

STEPS = ("load_s", "recall_s", "weigh_s", "prompt_s")


def first_token(archive: ReadArchive, question: str) -> dict[str, float] | None:
    """Seconds of each step up to the first token of the draft; None if the archive does not say."""
    services, at = archive.services, [time.perf_counter()]
    archive.context = services.contexts.get(services, archive.id)
    at.append(time.perf_counter())
    found = archive.candidates(question)
    at.append(time.perf_counter())
    ranked = weigh(services.engine, question, found)
    at.append(time.perf_counter())
    result = None
    for event in answer(services.engine, archive.context.state, question, ranked):
        result = event.result or result
    if result is None or result.stats.ttft_s is None:
        return None
    times = [after - before for before, after in pairwise(at)]
    return dict(zip(STEPS, [*times, result.stats.ttft_s], strict=True))


def middle(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Medians of the steps and of their sum."""
    totals = [sum(row.values()) for row in rows]
    values = {name: round(statistics.median(row[name] for row in rows), 3) for name in STEPS}
    return values | {"ttft_s": round(statistics.median(totals), 3), "ttft_s_max": round(max(totals), 3)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the archive")
    parser.add_argument("--data", type=Path, required=True, help="folder of passages and questions")
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    archive = ReadArchive(options.home, NAME)
    services = archive.services
    asked = [q.question for name in EVAL_SETS for q in archive.asked(read_eval(options.data, name)[1])]
    draw = random.Random(0)
    draw.shuffle(asked)
    first_token(archive, asked[0])  # the model is loaded and warm in both figures
    found: dict[str, list[dict[str, float]]] = {"from_disk": [], "from_memory": []}
    for question in asked[1 : 1 + options.questions]:
        for way, rows in found.items():
            if way == "from_disk":
                services.__dict__.pop("contexts", None)
            times = first_token(archive, question)
            if times is not None:
                rows.append(times)
    for way, rows in found.items():
        settings = {"archive_tokens": archive.context.state.tokens_read, "passages": archive.passages}
        settings |= {"way": way, "questions": options.questions, "backend": services.engine.backend}
        record("second_question", settings, {"drafted": len(rows)} | middle(rows), options.out)


if __name__ == "__main__":
    main()
