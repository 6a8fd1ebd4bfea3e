"""Training questions with the passages that the product would weigh for them, for `engine.convert rank`.

    python tests/bench/rank_groups.py --home HOME --data DATA --out groups.jsonl [--questions 1200]

HOME holds the archive that tests/bench/shallow.py coded (or worker.py read), made of passages of the training
files among others. Questions are drawn evenly from all sources, the books of one publisher being one; those
whose passage is not among the candidates teach nothing and are left out. Another part of that passage that
holds the answer is right too.
"""

import argparse
import json
import random
import sys
from itertools import chain, zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from app.recalling import as_evidence
from engine.convert.data import Question, passage, question, read_lines
from engine.convert.progress import Progress
from tests.bench.read_archive import ReadArchive
from tests.bench.worker import NAME


def drawn(archive: ReadArchive, data: Path, seed: int) -> list[Question]:
    """All questions that can be asked of the archive, in random order, from each source in turn."""
    by_source: dict[str, list[Question]] = {}
    for item in archive.asked([question(record) for record in read_lines(data / "qa_train.jsonl.xz")]):
        if item.answers and item.specific >= 1:
            by_source.setdefault(item.source.split("-")[0], []).append(item)
    draw = random.Random(seed)
    for items in by_source.values():
        draw.shuffle(items)
    return [item for item in chain.from_iterable(zip_longest(*by_source.values())) if item is not None]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the archive")
    parser.add_argument("--data", type=Path, required=True, help="folder of passages and questions")
    parser.add_argument("--out", type=Path, required=True, help="file to write, JSON lines")
    parser.add_argument("--questions", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    archive = ReadArchive(options.home, NAME)
    asked = drawn(archive, options.data, options.seed)
    wanted = {item.cid for item in asked}
    records = read_lines(options.data / "contexts.jsonl.xz")
    gold = {record["cid"]: passage(record) for record in records if record["cid"] in wanted}
    progress, written = Progress("questions", options.questions, "questions"), 0
    with options.out.open("w", encoding="utf-8") as file:
        for item in asked:
            found = archive.candidates(item.question)
            right = [i for i, one in enumerate(found) if archive.place([one.id], item, gold[item.cid]) == 0]
            if not right:
                continue
            shown = [(one.title(), one.text) for one in as_evidence(found)]
            file.write(json.dumps({"question": item.question, "passages": shown, "right": right}) + "\n")
            progress.add(1)
            written += 1
            if written == options.questions:
                break
    progress.close()


if __name__ == "__main__":
    main()
