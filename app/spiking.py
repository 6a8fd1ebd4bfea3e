"""The spikes job: what a text fires in every layer, kept as one compressed file in the home folder."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from app.errors import UserError
from app.services import Services
from app.task import Task
from storage import Home, Job, NotFoundError, jobs

if TYPE_CHECKING:
    from engine.recording import Recorded

KIND = "spikes"
MAX_TOKENS = 256
MAX_TEXT = 20_000
KEPT_FILES = 20
WINDOW_BITS = 3
PRIORITY = 5


def submit(s: Session, text: str, title: str) -> Job:
    """Have the spikes of `text` worked out; the job's id names the file."""
    if not text.strip():
        raise UserError("empty_text", "There is no text.", "Type or choose some.")
    return jobs.enqueue(s, KIND, None, {"text": text[:MAX_TEXT], "title": title}, PRIORITY)


def run_spikes(services: Services, task: Task) -> dict[str, Any]:
    """Read the text from an empty state and write down every spike count."""
    from engine.recording import record_spikes

    task.progress(0, 0, "", "loading the model", at_once=True)
    engine, tokenizer = services.engine, services.tokenizer
    ids = tokenizer.encode(task.job.payload["text"])
    used = ids[:MAX_TOKENS]
    if not used:
        raise UserError("empty_text", "The text holds no token.", "Choose another.")
    task.progress(0, 0, "", "firing", at_once=True)
    found = record_spikes(engine, [tokenizer.separator_id, *used])
    task.check()
    about = {
        "title": task.job.payload.get("title", ""),
        "tokens": [tokenizer.decode([token]) for token in used],
        "left_out": len(ids) - len(used),
        "model": services.model_name,
        "device": engine.device,
        "fingerprint": engine.fingerprint,
        "k": engine.config.spike.k if engine.config.spike else None,
        "sites": [_summary(site) for site in found],
    }
    _write(spikes_path(services.home, task.job.id), about, found)
    _thin(services.home)
    return {"tokens": len(used), "left_out": len(ids) - len(used)}


def _summary(site: Recorded) -> dict[str, Any]:
    """Sums over the tokens of the text, the separator left out."""
    counts = np.abs(site.counts[1:].numpy())
    low = counts & (2**WINDOW_BITS - 1)
    return {
        "layer": site.layer,
        "site": site.site,
        "channels": int(counts.shape[1]),
        "outputs": site.outputs,
        "places": int(counts.size),
        "unary": int(counts.sum(dtype=np.int64)),
        "bits": int(np.bitwise_count(counts).sum(dtype=np.int64)),
        "low_bits": int(np.bitwise_count(low).sum(dtype=np.int64)),
        "silent": int((counts == 0).sum()),
        "largest": int(counts.max(initial=0)),
        "by_token": np.bitwise_count(counts).sum(axis=1, dtype=np.int64).tolist(),
    }


def _write(path: Path, about: dict[str, Any], found: Sequence[Recorded]) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for number, site in enumerate(found):
        counts = site.counts[1:].numpy()
        small = np.abs(counts).max(initial=0) <= np.iinfo(np.int8).max
        arrays[f"counts_{number}"] = counts.astype(np.int8 if small else np.int32)
        arrays[f"vth_{number}"] = site.vth[1:].numpy()
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    os.replace(part, path)


def _thin(home: Home) -> None:
    """Only the newest are kept: they can be made again."""
    files = sorted(home.spikes.glob("*.npz"), key=lambda path: path.stat().st_mtime)
    for path in files[:-KEPT_FILES]:
        path.unlink(missing_ok=True)


def spikes_path(home: Home, job_id: int) -> Path:
    """Where a job's spikes are."""
    return home.spikes / f"{job_id}.npz"


@dataclass(frozen=True, slots=True)
class SpikeFile:
    """The spikes of a text; the counts of a layer input are loaded when asked for."""

    path: Path
    about: dict[str, Any]

    @classmethod
    def open(cls, home: Home, job_id: int) -> SpikeFile:
        """NotFoundError where the file is gone."""
        path = spikes_path(home, job_id)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return cls(path, json.loads(kept["about"].tobytes()))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            hint = "Have them worked out again."
            raise NotFoundError("no_spikes", "These spikes are no longer kept.", hint) from error

    @property
    def sites(self) -> list[dict[str, Any]]:
        """Each layer input with its sums."""
        return cast("list[dict[str, Any]]", self.about["sites"])

    def counts(self, number: int) -> npt.NDArray[np.int32]:
        """int32 [tokens, channels] of the layer input with this number."""
        with np.load(self.path, allow_pickle=False) as kept:
            return cast("npt.NDArray[np.int32]", kept[f"counts_{number}"].astype(np.int32))

    def thresholds(self, number: int) -> npt.NDArray[np.float32]:
        """float32 [tokens]: what one spike of each token is worth."""
        with np.load(self.path, allow_pickle=False) as kept:
            return cast("npt.NDArray[np.float32]", kept[f"vth_{number}"])
