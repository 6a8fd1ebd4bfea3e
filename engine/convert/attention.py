"""Stage `attention`: train the gates of the linear branches against the base with full attention.

Loss for a text: KL divergence between the teacher's and the student's next-token distributions at sampled
places, plus the distance of their residual streams, relative to the teacher's size. The student reads the
text segment by segment and carries its state over without gradient, so gates learn to remember across
segments.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from engine.convert.checkpoints import load_checkpoint, save_checkpoint
from engine.convert.data import read_lines
from engine.convert.hybrid import Hybrid, Memory, Teacher
from engine.convert.losses import LossLog
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

FIELDS = ("physics", "medical", "legal", "general")
CHECKPOINT = "attention.checkpoint.safetensors"
RESULT = "attention.safetensors"
HELD_OUT = "attention-held-out.jsonl"


@dataclass(frozen=True, slots=True)
class AttentionSettings:
    """Settings of the attention stage. `mode` "parallel": a linear branch beside the window in every layer,
    from zero; "alternate": in place of the window in every second layer. `held` texts are kept out, and the
    divergence on them is taken before the first step and after the last.
    """

    steps: int = 300
    length: int = 4096
    segment: int = 1024
    mode: str = "parallel"
    rate: float = 3e-3
    warmup: int = 10
    decay: float = 0.3
    stream_weight: float = 1.0
    stream_every: int = 6
    stride: int = 8
    clip: float = 1.0
    save_every: int = 20
    spiking: bool = True
    held: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in ("parallel", "alternate"):
            raise EngineError(f"unknown mode {self.mode!r}", "Choose parallel or alternate.", "bad_settings")


def texts(data: Path, tokenizer: Tokenizer, length: int) -> Iterator[Tensor]:
    """Pieces of `length` tokens of the long texts, one of each field in turn, over and over."""
    while True:
        readers = [_pieces(data / f"text_{name}.jsonl.xz", tokenizer, length) for name in FIELDS]
        found = False
        for turn in zip(*readers, strict=False):
            found = True
            yield from turn
        if not found:
            raise EngineError(f"no text of {length} tokens in every field", "Shorten --length.", "no_data")


def _pieces(path: Path, tokenizer: Tokenizer, length: int) -> Iterator[Tensor]:
    held: list[int] = []
    for record in read_lines(path):
        held += [tokenizer.separator_id, *tokenizer.encode(record["text"])]
        while len(held) >= length:
            yield torch.tensor(held[:length])
            del held[:length]


class Distiller:
    """Teacher, student, optimiser and the steps done."""

    def __init__(
        self,
        model: Path,
        settings: AttentionSettings,
        dtype: torch.dtype,
        device: str,
        fused: bool = False,
    ) -> None:
        count = len(json.loads((model / "config.json").read_text("utf-8"))["windows"])
        even = tuple(range(0, count, 2))
        every, alone = (tuple(range(count)), ()) if settings.mode == "parallel" else (even, even)
        self.settings, self.step = settings, 0
        self.teacher = Teacher(model, None, dtype=dtype, device=device, fused=fused)
        self.teacher.spiking = False
        self.student = Hybrid(model, every, alone, dtype, device, fused)
        self.student.spiking = settings.spiking
        self.named = self.student.branches.named_tensors()
        self._optimizer = torch.optim.AdamW(self.named.values(), lr=settings.rate, weight_decay=0.0)

    def train_on(self, ids: Tensor) -> float:
        """One text; returns the mean KL divergence (nats a token)."""
        s = self.settings
        for group in self._optimizer.param_groups:
            group["lr"] = rate_at(self.step, s.steps, s.rate, s.warmup, s.decay)
        total = 0.0
        self._optimizer.zero_grad()
        for divergence, distance, share in self._parts(ids):
            ((divergence + s.stream_weight * distance) * share).backward()
            total += float(divergence.detach()) * share
        torch.nn.utils.clip_grad_norm_(self.named.values(), s.clip)
        self._optimizer.step()
        self.step += 1
        return total

    @torch.no_grad()
    def divergence(self, ids: Tensor) -> float:
        """Mean KL divergence (nats a token) on one text, nothing learned."""
        return sum(float(divergence) * share for divergence, _, share in self._parts(ids))

    def _parts(self, ids: Tensor) -> Iterator[tuple[Tensor, Tensor, float]]:
        """The losses of a text segment by segment, and the share of the segments that each is."""
        wanted, memory = self.teacher.read(ids), Memory()
        starts = range(0, len(ids), self.settings.segment)
        for start in starts:
            piece = slice(start, min(start + self.settings.segment, len(ids)))
            streams = self.student.segment(ids[piece], memory)
            yield *self._losses(streams, [stream[piece] for stream in wanted]), 1 / len(starts)

    def _losses(self, given: list[Tensor], wanted: list[Tensor]) -> tuple[Tensor, Tensor]:
        s = self.settings
        truth = self.teacher.logits(wanted[-1][:: s.stride]).float().log_softmax(dim=-1)
        said = self.student.logits(given[-1][:: s.stride]).float().log_softmax(dim=-1)
        divergence = F.kl_div(said, truth, log_target=True, reduction="batchmean")
        picked = range(s.stream_every, len(given), s.stream_every)
        apart = [(given[i] - wanted[i]).square().mean() / wanted[i].square().mean() for i in picked]
        return divergence, torch.stack(apart).mean() if apart else divergence.new_zeros(())

    def save(self, folder: Path) -> None:
        """The gates, as an adapter file and with all that is needed to go on."""
        save_checkpoint(folder / CHECKPOINT, self.named, self._optimizer, {"step": self.step})
        save_file({name: v.detach().cpu().contiguous() for name, v in self.named.items()}, folder / RESULT)

    def resume(self, folder: Path) -> None:
        """Go on from the checkpoint in `folder`, if there is one."""
        self.step = load_checkpoint(folder / CHECKPOINT, self.named, self._optimizer).get("step", 0)


def train(
    model: Path,
    data: Path,
    work: Path,
    settings: AttentionSettings,
    device: str = "cpu",
    stop_s: float | None = None,
    fused: bool = False,
) -> Distiller:
    """Train (or go on training) in `work` until `settings.steps`, or for `stop_s` seconds."""
    work.mkdir(parents=True, exist_ok=True)
    distiller = Distiller(model, settings, torch.bfloat16, device, fused)
    distiller.resume(work)
    (work / "attention.settings.json").write_text(json.dumps(asdict(settings), indent=1), "utf-8")
    log = LossLog(work / "attention.jsonl", "attention", distiller.step, settings.steps)
    source = texts(data, Tokenizer.load(model), settings.length)
    held = list(islice(source, settings.held))
    if distiller.step == 0:
        _judge(distiller, held, work)
    rest = islice(source, distiller.step, None)
    train_until(distiller, ((ids, len(ids)) for ids in rest), log, work, settings.save_every, stop_s)
    if distiller.step == settings.steps:
        _judge(distiller, held, work)
    return distiller


def _judge(distiller: Distiller, held: Sequence[Tensor], work: Path) -> None:
    """Write down the divergence on texts kept out."""
    if not held:
        return
    apart = fmean(distiller.divergence(ids) for ids in held)
    line = {
        "mode": distiller.settings.mode,
        "step": distiller.step,
        "texts": len(held),
        "kl": round(apart, 4),
    }
    print(f"attention: {apart:.3f} nats from the base on {len(held)} texts kept out", file=sys.stderr)
    with (work / HELD_OUT).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def add_arguments(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The stage's command line."""
    defaults = AttentionSettings()
    stage = stages.add_parser("attention", help="train the gates of the linear attention branches")
    stage.add_argument("--mode", choices=("parallel", "alternate"), default=defaults.mode)
    add_training_arguments(stage, defaults, ("steps", "length", "segment", "rate", "seed"))
    stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    settings = settings_of(AttentionSettings, options)
    stop_s, fused = stop_seconds(options), fuses(options)
    train(options.model, options.data, options.work, settings, options.device, stop_s, fused)
