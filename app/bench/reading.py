"""Reading speed: by length, in one long go, and beside a busy neighbour."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice

import psutil

from app.bench.plan import Plan
from app.bench.record import Measured
from app.bench.text import text_ids
from app.bench.timing import in_turn, seconds
from engine import Engine

LENGTHS = (512, 2048, 8192)
MARKS = tuple(1 << n for n in range(14, 23))


def measure(plan: Plan) -> Iterator[Measured]:
    """Tokens per second of several lengths, beside a busy neighbour, and along `plan.tokens` tokens."""
    engine = plan.engine
    lengths = (64, 256) if plan.quick else LENGTHS
    ids = list(text_ids(plan.tokenizer, max(lengths)))
    for length in lengths:
        found = in_turn(plan.runs, {"": partial(read, engine, ids[:length])})[""]
        speeds = [length / s for s in found]
        values = {
            "tokens_per_s": round(statistics.median(speeds), 1),
            "tokens_per_s_min": round(min(speeds), 1),
            "tokens_per_s_max": round(max(speeds), 1),
        }
        yield Measured({"length": length, "runs": plan.runs}, values)
    yield beside_a_neighbour(plan, ids[: lengths[-1] // 2])
    if plan.tokens:
        yield from along(plan, plan.tokens)


def read(engine: Engine, ids: list[int]) -> None:
    """One reading from an empty state."""
    for _ in engine.read(ids, engine.new_state()):
        pass


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """A process that takes all of one core while the block runs."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def beside_a_neighbour(plan: Plan, ids: list[int]) -> Measured:
    """Speed with one process busy on the same machine, as a share of the speed without, in turn."""
    engine = plan.engine
    quiet, beside = [], []
    read(engine, ids)
    for _ in range(plan.runs):
        quiet.append(seconds(lambda: read(engine, ids)))
        with busy_neighbour():
            beside.append(seconds(lambda: read(engine, ids)))
    shares = [a / b for a, b in zip(quiet, beside, strict=True)]
    values = {
        "tokens_per_s": round(len(ids) / statistics.median(quiet), 1),
        "tokens_per_s_beside_neighbour": round(len(ids) / statistics.median(beside), 1),
        "share_kept": round(statistics.median(shares), 3),
        "share_kept_min": round(min(shares), 3),
    }
    return Measured({"length": len(ids), "runs": plan.runs, "busy_neighbours": 1}, values)


def along(plan: Plan, tokens: int) -> Iterator[Measured]:
    """One reading of `tokens` tokens: speed between marks, and resident memory at each."""
    engine, process = plan.engine, psutil.Process()
    state = engine.new_state()
    marks = [mark for mark in MARKS if mark < tokens] + [tokens]
    ends = range(200, tokens, 200) if engine.code_bits else None
    started = before = time.perf_counter()
    cpu, last = time.process_time(), 0
    ids = islice(text_ids(plan.tokenizer, tokens), tokens)
    for progress in engine.read(ids, state, ends):
        if progress.tokens_read < marks[0]:
            continue
        now, spent, read_now = time.perf_counter(), time.process_time(), progress.tokens_read
        values = {
            "tokens": read_now,
            "tokens_per_s_since_last": round((read_now - last) / (now - before), 1),
            # Processor time is what a busy neighbour changes least.
            "cpu_ms_per_token_since_last": round(1000 * (spent - cpu) / (read_now - last), 3),
            "seconds": round(now - started, 1),
            "rss_bytes": process.memory_info().rss,
            "state_bytes": state.nbytes,
        }
        yield Measured({"length": marks.pop(0), "recall_codes": ends is not None}, values)
        before, last, cpu = now, read_now, spent
        if not marks:
            return
