"""What the training stages share: the loop with its checkpoints, the learning rate, settings as options."""

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

from engine.convert.fused import can_fuse
from engine.convert.losses import LossLog

Batch = TypeVar("Batch", contravariant=True)
Settings = TypeVar("Settings")


class Trainer(Protocol[Batch]):
    """Counts its steps, learns from one batch a step (giving a loss in nats), saves all it needs to go on."""

    step: int

    def train_on(self, batch: Batch) -> float:
        """One step."""

    def save(self, folder: Path) -> None:
        """A checkpoint."""


def train_until(
    trainer: Trainer[Batch],
    batches: Iterable[tuple[Batch, int]],
    log: LossLog,
    folder: Path,
    save_every: int,
    stop_s: float | None = None,
) -> None:
    """Train on (batch, its tokens) up to the last step of `log`, or for `stop_s` seconds (one step at
    least); checkpoints go to `folder`.
    """
    started = time.monotonic()
    for batch, tokens in batches:
        if trainer.step >= log.last:
            break
        loss = trainer.train_on(batch)
        log.add(trainer.step, loss, tokens)
        if trainer.step % save_every == 0:
            trainer.save(folder)
        if stop_s is not None and time.monotonic() - started >= stop_s:
            break
    trainer.save(folder)


def rate_at(step: int, steps: int, rate: float, warmup: int, decay: float) -> float:
    """Learning rate of step `step` (from 0) of `steps`: rising over `warmup` steps, then `rate`, falling to
    zero over the last `decay` share.
    """
    left = (steps - step) / max(steps * decay, 1.0)
    return rate * min(1.0, (step + 1) / max(warmup, 1), left)


def add_training_arguments(stage: argparse.ArgumentParser, defaults: Any, names: Sequence[str]) -> None:
    """Where from, where to and for how long, and an option for each of these settings."""
    stage.add_argument(
        "--model", type=Path, required=True, help="prepared model folder (the base, not merged)"
    )
    stage.add_argument("--data", type=Path, required=True, help="folder of the training files")
    stage.add_argument("--work", type=Path, required=True, help="folder for checkpoints and logs")
    stage.add_argument("--device", default="cpu", help="cpu or cuda")
    stage.add_argument("--minutes", type=float, help="stop after this long, with a checkpoint to go on from")
    stage.add_argument("--dense", dest="spiking", action="store_false", help="without spike coding")
    stage.add_argument(
        "--eager", action="store_true", help="do not compile what lies between matrix products"
    )
    for name in names:
        value = getattr(defaults, name)
        stage.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)


def stop_seconds(options: argparse.Namespace) -> float | None:
    """`--minutes` in seconds."""
    return None if options.minutes is None else 60 * options.minutes


def fuses(options: argparse.Namespace) -> bool:
    """Whether what lies between matrix products is to be compiled, and can be."""
    return not options.eager and can_fuse(options.device)


def settings_of(kind: type[Settings], options: argparse.Namespace) -> Settings:
    """Settings of this dataclass from the options of the same names."""
    given = {f.name: getattr(options, f.name) for f in fields(kind) if hasattr(options, f.name)}  # type: ignore[arg-type]
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})
