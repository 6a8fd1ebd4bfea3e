"""Stage `answer`: train low-rank adapters to answer from passages, cite, refuse, and expect the question.

Loss: cross-entropy of the answer's tokens, plus a small part on the question's own (so that the likelihood of
a question after a passage, which ranks passages, is trained along) and on the passages' (against forgetting).
"""

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from engine.convert.checkpoints import load_checkpoint, save_checkpoint
from engine.convert.data import DISTRACTORS, passage, question, read_distractors, read_lines
from engine.convert.examples import IGNORE, Group, GroupSettings, with_prose
from engine.convert.group_source import GroupSource
from engine.convert.losses import LossLog
from engine.convert.student import Student
from engine.convert.training import (
    add_training_arguments,
    fuses,
    rate_at,
    settings_of,
    stop_seconds,
    train_until,
)
from engine.errors import EngineError
from engine.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """Settings of the answer stage. The rate is constant after `warmup` steps and falls to zero over the last
    `decay` share of the steps, so a run can be prolonged from any checkpoint before that.

    `factors`: threshold factors k, one drawn for every step (empty: the model's own), so that one model
    serves several.
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
    factors: tuple[float, ...] = ()
    prose_share: float = 0.25
    prose_weight: float = 0.1
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
        s, draw = self.settings, random.Random(f"{self.settings.seed}:{self.step}")
        for setting in self._optimizer.param_groups:
            setting["lr"] = rate_at(self.step, s.steps, s.rate, s.warmup, s.decay)
        if s.factors:
            self.student.spike_k = [draw.choice(s.factors)] * len(self.student.layers)
        groups = [with_prose(group, s.prose_share, s.prose_weight, draw) for group in groups]
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


def load_groups(data: Path, tokenizer: Tokenizer, settings: AnswerSettings, work: Path) -> GroupSource:
    """The training groups of a data folder, with the distractors that the recall stage left in `work`."""
    passages = {r["cid"]: passage(r) for r in read_lines(data / "contexts.jsonl.xz")}
    questions = [question(r) for r in read_lines(data / "qa_train.jsonl.xz")]
    near = read_distractors(work / DISTRACTORS)
    return GroupSource(tokenizer, passages, questions, settings.groups, settings.seed, near)


def train(
    model: Path,
    data: Path,
    work: Path,
    settings: AnswerSettings,
    device: str = "cpu",
    stop_s: float | None = None,
    start: Path | None = None,
    fused: bool = False,
) -> Trainer:
    """Train (or go on training) in `work`; ends after `settings.steps`, or after `stop_s` seconds with a
    checkpoint to go on from. A new run may `start` from the adapters of another one, with a fresh optimiser.
    """
    work.mkdir(parents=True, exist_ok=True)
    source = load_groups(data, Tokenizer.load(model), settings, work)
    dtype = torch.bfloat16
    student = Student(model, settings.rank, settings.first_layer, dtype, device, settings.seed, fused)
    student.spiking = settings.spiking
    trainer = Trainer(student, settings)
    if not trainer.resume(work):
        if start is not None:
            student.adapters.load(load_file(start))
        (work / "answer.settings.json").write_text(json.dumps(asdict(settings), indent=1), "utf-8")
    groups = islice(iter(source), trainer.groups_used, None)
    log = LossLog(work / "answer.jsonl", "answer", trainer.step, settings.steps)
    gathered = ((batch, sum(map(len, batch))) for batch in batches(groups, settings.batch_tokens))
    train_until(trainer, gathered, log, work, settings.save_every, stop_s)
    return trainer


def add_arguments(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The stage's command line."""
    defaults = AnswerSettings()
    stage = stages.add_parser(
        "answer", help="train low-rank adapters to answer from passages, cite and refuse"
    )
    stage.add_argument(
        "--factors", nargs="*", type=float, default=[], help="threshold factors k to draw from at each step"
    )
    stage.add_argument("--start", type=Path, help="adapter file or checkpoint that a new run starts from")
    names = ("steps", "batch_tokens", "rank", "first_layer", "rate", "prose_weight", "seed")
    add_training_arguments(stage, defaults, names)
    stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    settings = settings_of(AnswerSettings, options)
    stop_s, fused = stop_seconds(options), fuses(options)
    where = (options.model, options.data, options.work)
    train(*where, settings, options.device, stop_s, options.start, fused)
