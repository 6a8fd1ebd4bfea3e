"""Whether a model and a context fit into the memory that is there; what cannot is refused with numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from app.errors import UserError

if TYPE_CHECKING:
    from engine import Engine
    from engine.memory_plan import MemoryPlan

CGROUP = Path("/sys/fs/cgroup")


def memory_there(cgroup: Path = CGROUP) -> int:
    """Bytes of memory that this process may still take: the machine's, or a container's if less."""
    free = psutil.virtual_memory().available
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        lines = (cgroup / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return free
    if not limit.isdigit():
        return free
    cached = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return max(0, min(free, int(limit) - used + cached))


def memory_plan(engine: Engine) -> MemoryPlan:
    """The plan of a loaded model."""
    from engine.memory_plan import plan_memory

    return plan_memory(engine.config, engine.nbytes, engine.decoder.cache_dtype.itemsize)


def refuse_loading(plan: MemoryPlan, name: str, there: int) -> None:
    """UserError if the weights and an empty context do not fit into `there` bytes."""
    if plan.needed() > there:
        raise UserError(
            "not_enough_memory",
            f"The model {name} needs {gigabytes(plan.needed())} of memory ({gigabytes(plan.weights)} for its "
            f"weights); {gigabytes(there)} are free.",
            "Close other programs or choose a smaller model (Engine page, or `models default NAME`).",
        )


def refuse_reading(plan: MemoryPlan, tokens: int, there: int) -> None:
    """UserError if a context of `tokens` does not fit into `there` bytes beside the loaded weights."""
    if plan.growth_per_token and plan.reading(tokens) > there:
        room = max(0, (there - plan.reading(0)) // plan.growth_per_token)
        raise UserError(
            "not_enough_memory",
            f"Reading {tokens:,} tokens with this model needs {gigabytes(plan.reading(tokens))} of memory "
            f"beside its weights, {gigabytes(plan.growth_per_million)} for each million tokens; "
            f"{gigabytes(there)} are free, enough for about {room:,} tokens.",
            "Choose a model whose memory does not grow (the default one), or put fewer documents into the "
            "archive.",
        )


def gigabytes(size: float) -> str:
    """`0.64 GB`, `30.5 GB`."""
    return f"{size / 1e9:.2f} GB" if size < 1e10 else f"{size / 1e9:.1f} GB"


def plan_sentence(plan: MemoryPlan, tokens: int, there: int) -> str:
    """What a context of `tokens` takes, against what is free."""
    growth = plan.growth_per_million
    grows = f", {gigabytes(growth)} for each million tokens" if growth else ", at any length"
    sentence = f"Reading {tokens:,} tokens takes {gigabytes(plan.needed(tokens))} of memory{grows}"
    return f"{sentence}; {gigabytes(there)} are free."
