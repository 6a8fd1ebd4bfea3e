"""Decoding speed after some context, against the time that reading the weights from memory takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext

import torch

from app.bench.plan import Plan
from app.bench.record import Measured
from app.bench.text import text_ids
from engine import ContextState, Engine
from engine.variants import has_whole_layers, single_operations


def measure(plan: Plan) -> Iterator[Measured]:
    """Tokens per second: as the product decodes, and with single operations instead of whole layers."""
    engine = plan.engine
    context, count = (200, 4) if plan.quick else (2048, 64)
    state = engine.new_state()
    for _ in engine.read(text_ids(plan.tokenizer, context), state):
        pass
    ways = ["whole layers", "single operations"] if has_whole_layers(engine) else ["single operations"]
    found: dict[str, list[float]] = {name: [] for name in ways}
    shares = []
    for turn in range(plan.runs + 1):
        for name in ways:
            with nullcontext() if name == "whole layers" else single_operations(engine):
                speed = tokens_per_s(engine, state.clone(), count)
            if turn:
                found[name].append(speed)
        if engine.last_run is not None:
            shares.append(engine.last_run.silent_share)
    bandwidth = memory_bytes_per_s(64 if plan.quick else 512)
    floor = engine.nbytes / bandwidth
    for name, speeds in found.items():
        values = {
            "tokens_per_s": round(statistics.median(speeds), 2),
            "tokens_per_s_min": round(min(speeds), 2),
            "tokens_per_s_max": round(max(speeds), 2),
            "silent_share": shares[-1],
            "weights_bytes": engine.nbytes,
            "memory_gb_per_s": round(bandwidth / 1e9, 1),
            "floor_tokens_per_s": round(1 / floor, 1),
        }
        yield Measured({"context": context, "tokens": count, "runs": plan.runs, "path": name}, values)


def tokens_per_s(engine: Engine, state: ContextState, count: int) -> float:
    """Speed of `count` tokens after a first one."""
    tokens = engine.generate([1], state, max_new_tokens=count + 1, stop_ids=())
    next(tokens)
    started = time.perf_counter()
    made = sum(1 for _ in tokens)
    return made / (time.perf_counter() - started)


def memory_bytes_per_s(megabytes: int) -> float:
    """How fast memory is read: the best of five sums over a tensor larger than any cache."""
    block = torch.ones(megabytes << 18)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        block.sum()
        best = min(best, time.perf_counter() - started)
    return block.numel() * block.element_size() / best
