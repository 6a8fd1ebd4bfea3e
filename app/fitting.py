"""Whether a model and a context fit into the memory that is there; what cannot is refused with numbers."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from app.errors import UserError
from storage import Home, jobs

if TYPE_CHECKING:
    from app.services import Services
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

    limit = engine.decoder.spill.limit_bytes
    return plan_memory(engine.config, engine.nbytes, engine.decoder.cache_dtype.itemsize, limit)


def planned(services: Services) -> MemoryPlan | None:
    """The plan of the chosen model, from wherever it is known: loaded here, told by a living worker, or read
    from the headers of its files; None if it cannot be loaded, which its use will say.
    """
    from engine.memory_plan import MemoryPlan

    if services.engine_in_use is not None:
        return memory_plan(services.engine_in_use)
    with services.database.session() as s:
        told: list[dict[str, Any]] = [w.info for w in jobs.list_workers(s) if w.alive and w.info.get("plan")]
    named = next((info["plan"] for info in told if info.get("model") == services.model_name), None)
    if named is not None:
        return MemoryPlan(**named)
    from engine.errors import EngineError
    from engine.inspecting import inspect_checkpoint

    try:
        return inspect_checkpoint(services.model_dir, identify=False).plan
    except (EngineError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that are free: of `memory`, and on the `disk` of the home folder; `held` by saved states of the
    archive, which make way for newer ones.
    """

    memory: int
    disk: int
    held: int = 0

    @classmethod
    def now(cls, home: Home, archive_id: int | None = None) -> Room:
        """As it is."""
        states = (home.states / str(archive_id)).glob("*") if archive_id is not None else ()
        held = sum(path.stat().st_size for path in states)
        return cls(memory_there(), shutil.disk_usage(home.path).free, held)

    def holds(self, plan: MemoryPlan, tokens: int, loaded: bool = True) -> bool:
        """Whether a context of `tokens` fits, beside the weights if they are `loaded`, with them if not."""
        needed = plan.reading(tokens) if loaded else plan.needed(tokens)
        return needed <= self.memory and plan.on_disk(tokens) <= self.disk + self.held


def refuse_loading(plan: MemoryPlan, name: str, there: int) -> None:
    """UserError if the weights and an empty context do not fit into `there` bytes."""
    if plan.needed() > there:
        raise UserError(
            "not_enough_memory",
            f"The model {name} needs {gigabytes(plan.needed())} of memory ({gigabytes(plan.weights)} for its "
            f"weights); {gigabytes(there)} are free.",
            "Close other programs or choose a smaller model (Engine page, or `models default NAME`).",
        )


def refuse_reading(plan: MemoryPlan, tokens: int, room: Room) -> None:
    """UserError if a context of `tokens` does not fit beside the loaded weights, in memory or on disk."""
    if not plan.growth_per_token or room.holds(plan, tokens):
        return
    in_memory = plan.reading(tokens) > room.memory
    code, what, needed, free = (
        ("not_enough_memory", "of memory beside its weights", plan.reading(tokens), room.memory)
        if in_memory
        else ("disk_full", "on the disk of the home folder", plan.on_disk(tokens), room.disk + room.held)
    )
    most = plan.longest(room.memory, room.disk + room.held)
    fewer = "put fewer documents into the archive"
    raise UserError(
        code,
        f"Reading {tokens:,} tokens with this model needs {gigabytes(needed)} {what}, "
        f"{gigabytes(plan.growth_per_million)} for each million tokens; {gigabytes(free)} are free, enough "
        f"for about {most:,} tokens.",
        f"Choose a model whose memory does not grow (the default one), or {fewer}."
        if in_memory
        else f"Free space there, choose a model whose memory does not grow (the default one), or {fewer}.",
    )


def gigabytes(size: float) -> str:
    """`0.64 GB`, `30.5 GB`."""
    return f"{size / 1e9:.2f} GB" if size < 1e10 else f"{size / 1e9:.1f} GB"


def plan_sentence(plan: MemoryPlan, tokens: int, room: Room) -> str:
    """What a context of `tokens` takes, in memory and on disk, against what is free."""
    growth = plan.growth_per_million
    grows = f", {gigabytes(growth)} of it for each million tokens" if growth else ", at any length"
    memory = f"Reading {tokens:,} tokens takes {gigabytes(plan.needed(tokens))} of memory"
    if plan.spill_per_token:
        grows = f", of which what grows stays within {gigabytes(plan.spill_limit)}"
    sentence = f"{memory}{grows}; {gigabytes(room.memory)} are free."
    if not growth:
        return sentence
    disk = f"On disk it takes {gigabytes(plan.on_disk(tokens))}, saved states included"
    each = f" ({gigabytes(plan.on_disk(2_000_000) - plan.on_disk(1_000_000))} more for each million tokens)"
    return f"{sentence} {disk}{each}; {gigabytes(room.disk + room.held)} are free."
