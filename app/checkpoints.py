"""Saved reading states of an archive: which belong to its context, saving, the ladder, sweeping up."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from app.chain import Plan
from app.fitting import memory_plan
from app.services import Services
from engine.errors import StateError
from storage import Checkpoint, checkpoints, passages

if TYPE_CHECKING:
    from engine import ContextState

log = logging.getLogger(__name__)


class Ladder:
    """The checkpoints of one archive made by the model in use."""

    def __init__(self, services: Services, archive_id: int) -> None:
        self._services = services
        self._archive_id = archive_id
        self._fingerprint = services.engine.fingerprint

    def newest(self, s: Session, plan: Plan) -> list[Checkpoint]:
        """Checkpoints that are prefixes of `plan`, the longest first.

        One beyond a passage whose recall code is not this model's is none: reading on from it would leave the
        passage without a code (another model read the archive meanwhile, or the document was parsed anew).
        """
        rungs = checkpoints.list_checkpoints(s, self._archive_id, self._fingerprint)
        end = self._coded_end(s, plan)
        return [rung for rung in reversed(rungs) if plan.accepts(rung) and rung.tokens < end]

    def _coded_end(self, s: Session, plan: Plan) -> float:
        if not self._services.engine.code_bits:
            return math.inf
        first = passages.first_uncoded(s, self._archive_id, self._fingerprint)
        starts = {entry.document_id: entry.start for entry in plan.entries}
        return math.inf if first is None or first[0] not in starts else starts[first[0]] + 1 + first[1]

    def load(self, plan: Plan) -> tuple[ContextState, Checkpoint | None]:
        """The longest usable state, or one that has read nothing; a damaged file is passed over."""
        from engine import ContextState

        with self._services.database.session() as s:
            rungs = self.newest(s, plan)
        for rung in rungs:
            try:
                return ContextState.load(self._path(rung.file), self._services.engine), rung
            except StateError as error:
                log.warning("a saved state is passed over: %s", error.message)
        return self._services.engine.new_state(), None

    def save(self, state: ContextState, plan: Plan, also: Callable[[Session], bool]) -> bool:
        """Put the state on disk, then its row together with what `also` writes, in one transaction.

        `also` returns False to call it off; the file is then removed. A full disk leaves the older states.
        """
        unique = f"{self._fingerprint[:12]}-{state.tokens_read:012d}-{uuid.uuid4().hex[:8]}"
        name = f"{self._archive_id}/{unique}.state"
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        thinned: Sequence[str] = [name]
        try:
            state.save(path)
            thinned = self._record(state, plan, name, path.stat().st_size, also)
        finally:
            self._unlink(thinned)
        return name not in thinned

    def prune(self, plan: Plan) -> None:
        """Drop this model's checkpoints that are no longer prefixes, and files without a row."""
        with self._services.database.session() as s:
            rungs = checkpoints.list_checkpoints(s, self._archive_id, self._fingerprint)
        self._drop([rung.id for rung in rungs if not plan.accepts(rung)])
        with self._services.database.session() as s:
            kept = {Path(rung.file).name for rung in checkpoints.list_checkpoints(s, self._archive_id)}
        for path in self._path(str(self._archive_id)).glob("*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _record(
        self, state: ContextState, plan: Plan, name: str, size: int, also: Callable[[Session], bool]
    ) -> Sequence[str]:
        tokens = state.tokens_read
        with self._services.database.session() as s:
            if not also(s):
                return [name]
            row = (plan.chain(tokens), plan.whole(tokens), tokens, name, size)
            checkpoints.add_checkpoint(s, self._archive_id, self._fingerprint, *row)
            # States that grow would fill the disk: two of the newest's size stay (`MemoryPlan.on_disk`).
            most = 2 * size if memory_plan(self._services.engine).growth_per_token else None
            return checkpoints.thin(s, self._archive_id, self._fingerprint, most)

    def _drop(self, ids: Sequence[int]) -> None:
        if ids:
            with self._services.database.session() as s:
                files = checkpoints.remove_checkpoints(s, self._archive_id, ids)
            self._unlink(files)

    def _unlink(self, names: Sequence[str]) -> None:
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._services.home.states / name
