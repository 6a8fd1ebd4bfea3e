"""Whether reading slows down along a context: a text read behind 64k tokens and behind millions, in turn.

    python tests/bench/flat.py --home HOME [--tokens 8192] [--runs 5]

HOME holds the archive that tests/bench/worker.py read; its saved states are the long contexts. One long run
cannot tell a slower context from a busier machine; here every round meets all contexts.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from app.bench.text import text_ids
from app.bench.timing import in_turn, ratio
from app.services import Services
from app.settings import Options
from engine import ContextState, Engine
from storage import archives, checkpoints
from tests.bench.record import record
from tests.bench.worker import NAME

SHORT = 65_536
STATES = 6


def saved_states(services: Services, name: str) -> dict[int, ContextState]:
    """States of an archive by tokens read, at most `STATES`, spread over its length."""
    engine = services.engine
    with services.database.session() as s:
        rungs = checkpoints.list_checkpoints(s, archives.get_archive(s, name).id, engine.fingerprint)
    last = rungs[-1].tokens
    wanted = [last * i / STATES for i in range(1, STATES + 1)]
    chosen = {min(rungs, key=lambda rung: abs(rung.tokens - place)).file for place in wanted}
    paths = [services.home.states / rung.file for rung in rungs if rung.file in chosen]
    states = [ContextState.load(path, engine) for path in paths]
    return {state.tokens_read: state for state in states}


def read_behind(engine: Engine, state: ContextState, ids: list[int]) -> None:
    """Read text on from a copy of a state, with recall codes as an archive has them."""
    ends = range(state.tokens_read + 200, state.tokens_read + len(ids), 200) if engine.code_bits else None
    for _ in engine.read(ids, state.clone(), ends):
        pass


def compare(
    engine: Engine, states: Mapping[int, ContextState], ids: list[int], runs: int
) -> list[dict[str, Any]]:
    """Speed behind each context, and as a share of that behind the shortest, by neighbouring runs."""
    times = in_turn(runs, {str(n): partial(read_behind, engine, state, ids) for n, state in states.items()})
    first = times[str(min(states))]
    return [
        {
            "context": n,
            "tokens_per_s": round(len(ids) / statistics.median(times[str(n)]), 1),
            "share_of_shortest": round(ratio(first, times[str(n)]), 4),
        }
        for n in sorted(states)
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the archive")
    parser.add_argument("--tokens", type=int, default=8192, help="read behind each context")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    services = Services(Options(home=options.home))
    engine, short = services.engine, services.engine.new_state()
    for _ in engine.read(text_ids(services.tokenizer, SHORT), short):
        pass
    states = {SHORT: short} | saved_states(services, NAME)
    ids = list(text_ids(services.tokenizer, options.tokens))
    rows = compare(engine, states, ids, options.runs)
    shares = [row["share_of_shortest"] for row in rows]
    settings = {"tokens": options.tokens, "runs": options.runs, "backend": engine.backend}
    values = {"slowest_share": min(shares), "fastest_share": max(shares), "contexts": rows}
    record("flat", settings, values, options.out)


if __name__ == "__main__":
    main()
