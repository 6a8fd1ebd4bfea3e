"""The same development questions with and without spike coding, with and without a state, in pairs.

    python tests/bench/paired.py --model HOME/models/default --data DATA [--questions 25] [--read 8192]

Two models that answer the same questions differ by less than two that answer other ones: the difference in F1
comes with its standard error over the questions. A refusal scores 0; the state has read `--read` tokens of
the set's own passages.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from engine import ContextState, Engine
from engine.answering import AnswerResult
from engine.convert.data import EVAL_SETS
from engine.convert.evaluate import ask, judge, plain_answer, read_in
from engine.convert.progress import Progress
from engine.convert.scoring import f1
from engine.convert.trials import Trial, read_trials
from tests.bench.record import record

FIRST = "spiking"
VARIANTS = (FIRST, "spiking, state", "dense", "dense, state")
SETS = tuple(name for name in EVAL_SETS if name != "pubmedqa")
"""PubMedQA's answers are whole sentences, which F1 judges by their wording."""


def scores(trials: Sequence[Trial], results: Sequence[AnswerResult]) -> list[float]:
    """F1 of every question that the passages answer."""
    pairs = zip(trials, results, strict=True)
    return [f1(plain_answer(r.answer), t.answers) for t, r in pairs if t.gold is not None]


def difference(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Mean of `one` less `other` over the questions, and its standard error."""
    apart = [a - b for a, b in zip(one, other, strict=True)]
    error = statistics.stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else 0.0
    return {"f1_difference": round(statistics.mean(apart), 4), "standard_error": round(error, 4)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the development files")
    parser.add_argument("--questions", type=int, default=25, help="of each set")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=EVAL_SETS)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--read", type=int, default=8192, help="tokens a state has read")
    parser.add_argument("--forced", action="store_true", help="never refuse: judge the answers alone")
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    engines = {False: Engine.load(options.model, spiking=False), True: Engine.load(options.model)}
    asked: list[Trial] = []
    answered: dict[str, list[AnswerResult]] = {name: [] for name in options.variants}
    for name in options.sets:
        trials = read_trials(options.data, name, options.questions)
        progress = Progress(name, len(trials) * len(answered), "answers")
        for variant, results in answered.items():
            engine = engines[variant.startswith(FIRST)]
            state: ContextState | None = None
            if variant.endswith("state"):
                state = read_in(engine, options.data, name, options.read)
            for trial in trials:
                results.append(ask(engine, trial, state, options.forced))
                progress.add(1)
        progress.close()
        asked += trials
    settings = {"sets": options.sets, "questions": options.questions, "forced": options.forced}
    own = engines[True].config.spike
    settings |= {"own_k": own.k if own else None, "fingerprint": engines[True].fingerprint[:12]}
    first = scores(asked, answered[options.variants[0]])
    for variant, results in answered.items():
        read = options.read if variant.endswith("state") else 0
        values = judge(asked, results) | difference(scores(asked, results), first)
        record("paired", settings | {"variant": variant, "read": read}, values, options.out)


if __name__ == "__main__":
    main()
