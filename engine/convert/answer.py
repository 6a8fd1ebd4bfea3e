"""Stage `answer`: train low-rank adapters to answer from passages, cite, refuse, and expect the question.

Loss: cross-entropy of the answer's tokens, plus a small part on the question's own (so that the likelihood of
a question after a passage, which ranks passages, is trained along).
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.convert.checkpoints import load_checkpoint, save_checkpoint
from engine.convert.data import passage, question, read_lines
from engine.convert.examples import IGNORE, Group, GroupSettings, GroupSource
from engine.convert.losses import LossLog
from engine.convert.student import Student
from engine.errors import EngineError
from engine.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """Settings of the answer stage. The rate is constant after `warmup` steps and falls to zero over the last
    `decay` share of the steps, so a run can be prolonged from any checkpoint before that.
    """

    steps: int = 1300
    batch_tokens: int = 1200
    rank: int = 32
    first_layer: int = 8
    rate: float = 8e-4
    warmup: int = 40
    decay: float = 0.3
    weight_decay: float = 0.01
    clip: float = 1.0
    save_every: int = 25
    spiking: bool = True
    seed: int = 0
    groups: GroupSettings = field(default_factory=GroupSettings)


def batches(groups: Iterator[Group], tokens: int) -> Iterator[list[Group]]:
    """Groups gathered until they hold about `tokens`."""
    held: list[Group] = []
    for group in groups:
        held.append(group)
        if sum(map(len, held)) >= tokens:
            yield held
            held = []


def loss_of(student: Student, groups: list[Group]) -> tuple[Tensor, float]:
    """Weighted mean cross-entropy of a batch, and the mean over answer tokens alone (nats)."""
    hidden = student(groups)
    targets = torch.cat([g.targets for g in groups]).to(student.device)
    weights = torch.cat([g.weights for g in groups]).to(student.device)
    rows = (targets != IGNORE).nonzero().flatten()
    losses = F.cross_entropy(student.logits(hidden[rows]).float(), targets[rows], reduction="none")
    answers = weights[rows] == 1.0
    mean = float((losses.detach() * answers).sum() / answers.sum().clamp(min=1))
    return (losses * weights[rows]).sum() / weights[rows].sum(), mean


def rate_at(step: int, settings: AnswerSettings) -> float:
    """Learning rate of step `step` (from 0)."""
    falling = settings.steps * settings.decay
    left = (settings.steps - step) / max(falling, 1.0)
    return settings.rate * min(1.0, (step + 1) / max(settings.warmup, 1), left)


class Trainer:
    """The student, its optimiser and the steps done; `resume` continues a checkpoint as if never stopped."""

    def __init__(self, student: Student, settings: AnswerSettings) -> None:
        self.student, self.settings, self.step, self.groups_used = student, settings, 0, 0
        self.named = student.adapters.named_tensors()
        if not self.named:
            raise EngineError("the model has no layer to adapt", "Lower --first-layer.", "nothing_to_train")
        self._optimizer = torch.optim.AdamW(
            self.named.values(), lr=settings.rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )

    def train_on(self, groups: list[Group]) -> float:
        """One step; returns the loss over answer tokens."""
        for setting in self._optimizer.param_groups:
            setting["lr"] = rate_at(self.step, self.settings)
        loss, answers = loss_of(self.student, groups)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.named.values(), self.settings.clip)
        self._optimizer.step()
        self.step += 1
        self.groups_used += len(groups)
        return answers

    def save(self, folder: Path) -> None:
        """Adapters, optimiser moments and counters, replaced in one step."""
        counters = {"step": self.step, "groups": self.groups_used}
        save_checkpoint(folder / "answer.checkpoint.safetensors", self.named, self._optimizer, counters)

    def resume(self, folder: Path) -> bool:
        """Continue from the checkpoint in `folder`; False if there is none."""
        counters = load_checkpoint(folder / "answer.checkpoint.safetensors", self.named, self._optimizer)
        if counters:
            self.step, self.groups_used = counters["step"], counters["groups"]
        return bool(counters)


def load_groups(data: Path, tokenizer: Tokenizer, settings: AnswerSettings) -> GroupSource:
    """The training groups of a data folder."""
    passages = {r["cid"]: passage(r) for r in read_lines(data / "contexts.jsonl.xz")}
    questions = [question(r) for r in read_lines(data / "qa_train.jsonl.xz")]
    return GroupSource(tokenizer, passages, questions, settings.groups, settings.seed)


def train(
    model: Path,
    data: Path,
    work: Path,
    settings: AnswerSettings,
    device: str = "cpu",
    stop_s: float | None = None,
) -> Trainer:
    """Train (or go on training) in `work`; ends after `settings.steps`, or after `stop_s` seconds with a
    checkpoint to go on from.
    """
    work.mkdir(parents=True, exist_ok=True)
    source = load_groups(data, Tokenizer.load(model), settings)
    dtype = torch.bfloat16
    student = Student(model, settings.rank, settings.first_layer, dtype, device, settings.seed)
    student.spiking = settings.spiking
    trainer = Trainer(student, settings)
    if not trainer.resume(work):
        (work / "answer.settings.json").write_text(json.dumps(asdict(settings), indent=1), "utf-8")
    groups = islice(iter(source), trainer.groups_used, None)
    log = LossLog(work / "answer.jsonl", "answer", trainer.step, settings.steps)
    started = time.monotonic()
    for batch in batches(groups, settings.batch_tokens):
        if trainer.step >= settings.steps or (stop_s is not None and time.monotonic() - started > stop_s):
            break
        loss = trainer.train_on(batch)
        log.add(trainer.step, loss, sum(map(len, batch)))
        if trainer.step % settings.save_every == 0:
            trainer.save(work)
    trainer.save(work)
    return trainer


def add_arguments(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The stage's command line."""
    defaults = AnswerSettings()
    stage = stages.add_parser(
        "answer", help="train low-rank adapters to answer from passages, cite and refuse"
    )
    stage.add_argument(
        "--model", type=Path, required=True, help="prepared model folder (the base, not merged)"
    )
    stage.add_argument("--data", type=Path, required=True, help="folder of the training files")
    stage.add_argument("--work", type=Path, required=True, help="folder for checkpoints and logs")
    stage.add_argument("--device", default="cpu", help="cpu or cuda")
    stage.add_argument("--rate", type=float, default=defaults.rate, help="learning rate")
    stage.add_argument("--minutes", type=float, help="stop after this long, with a checkpoint to go on from")
    stage.add_argument("--dense", action="store_true", help="without spike coding, for comparison")
    for name in ("steps", "batch_tokens", "rank", "first_layer", "seed"):
        stage.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name))
    stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    settings = AnswerSettings(
        steps=options.steps,
        batch_tokens=options.batch_tokens,
        rank=options.rank,
        first_layer=options.first_layer,
        rate=options.rate,
        spiking=not options.dense,
        seed=options.seed,
    )
    stop_s = None if options.minutes is None else 60 * options.minutes
    train(options.model, options.data, options.work, settings, options.device, stop_s)
