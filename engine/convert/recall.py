"""Stage `recall`: train the projections that turn mean hidden states into 512-bit recall codes.

Passages are read inside one long stream, questions alone, both with the product's own engine; their mean
hidden states after an early layer are cached. Two projections (passage side, question side) are then
trained so that the Hamming distance of the signs ranks passages: InfoNCE over in-batch passages, straight-
through sign.
"""

import argparse
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.convert.data import EVAL_SETS, Passage, Question, passage, question, read_eval, read_lines
from engine.convert.features import passage_features, question_features
from engine.engine import Engine


@dataclass(frozen=True, slots=True)
class RecallSettings:
    """Settings of the recall stage; `layer` layers are run before pooling."""

    layer: int = 2
    bits: int = 512
    passages: int = 16_000
    questions_per_passage: int = 3
    batch: int = 512
    epochs: int = 20
    rate: float = 2e-3
    temperature: float = 0.05
    seed: int = 0


def sample(folder: Path, settings: RecallSettings) -> tuple[list[Passage], list[Question]]:
    """Training passages with their questions (only questions that make sense asked of a whole archive)."""
    by_passage: dict[str, list[Question]] = {}
    for record in read_lines(folder / "qa_train.jsonl.xz"):
        item = question(record)
        if item.answers and item.specific >= 1:
            by_passage.setdefault(item.cid, []).append(item)
    draw = random.Random(settings.seed)
    chosen = set(draw.sample(sorted(by_passage), min(settings.passages, len(by_passage))))
    records = read_lines(folder / "contexts.jsonl.xz")
    passages = [passage(record) for record in records if record["cid"] in chosen]
    questions = []
    for place in passages:
        asked = by_passage[place.cid]
        questions += draw.sample(asked, min(settings.questions_per_passage, len(asked)))
    return passages, questions


def cached_features(engine: Engine, data: Path, work: Path, settings: RecallSettings) -> dict[str, Tensor]:
    """Features of the training sample, computed once: `passages` [N, d], `questions` [M, d], `gold` [M]."""
    file = (
        work
        / f"recall-{settings.layer}-{settings.passages}-{settings.seed}-{engine.fingerprint[:12]}.safetensors"
    )
    if file.is_file():
        return load_file(file)
    passages, questions = sample(data, settings)
    place = {item.cid: i for i, item in enumerate(passages)}
    features = {
        "passages": passage_features(engine, [p.text for p in passages], [settings.layer])[:, 0],
        "questions": question_features(engine, [q.question for q in questions], [settings.layer])[:, 0],
        "gold": torch.tensor([place[q.cid] for q in questions]),
    }
    work.mkdir(parents=True, exist_ok=True)
    save_file(features, file)
    return features


def train(
    features: dict[str, Tensor], settings: RecallSettings, log: Path | None = None
) -> dict[str, Tensor]:
    """Adapter tensors `recall.*` from cached features; writes one JSON line an epoch to `log`."""
    torch.manual_seed(settings.seed)
    passages, questions, gold = features["passages"], features["questions"], features["gold"]
    spread = passages.std(dim=0).clamp(min=1e-6)
    sides = [((x - x.mean(dim=0)) / spread) for x in (passages, questions)]
    start = torch.linalg.qr(torch.randn(passages.shape[1], passages.shape[1]))[0][: settings.bits]
    weights = [start.clone().requires_grad_() for _ in sides]
    optimizer = torch.optim.AdamW(weights, lr=settings.rate, weight_decay=0.01)
    steps = settings.epochs * (len(gold) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=max(steps, 1) + 1)
    started = time.perf_counter()
    for epoch in range(settings.epochs):
        order, total = torch.randperm(len(gold)), 0.0
        for first in range(0, len(gold) - settings.batch + 1, settings.batch):
            rows = order[first : first + settings.batch]
            loss = contrast(
                sides[1][rows] @ weights[1].T, sides[0][gold[rows]] @ weights[0].T, gold[rows], settings
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * settings.batch / len(gold)
        line = {
            "stage": "recall",
            "epoch": epoch,
            "loss": round(total, 4),
            "s": round(time.perf_counter() - started, 1),
        }
        print(json.dumps(line), file=sys.stderr)
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    with torch.no_grad():
        return {
            "recall.layer": torch.tensor([settings.layer]),
            "recall.mean": passages.mean(dim=0),
            "recall.projection": (weights[0] / spread).contiguous(),
            "recall.query_mean": questions.mean(dim=0),
            "recall.query_projection": (weights[1] / spread).contiguous(),
        }


def contrast(queries: Tensor, keys: Tensor, gold: Tensor, settings: RecallSettings) -> Tensor:
    """InfoNCE between codes [B, bits]: the other passages of the batch are negatives, the same passage is
    not.
    """
    similarity = straight_sign(queries) @ straight_sign(keys).T / (settings.bits * settings.temperature)
    same = (gold[:, None] == gold[None, :]) & ~torch.eye(len(gold), dtype=torch.bool)
    similarity = similarity.masked_fill(same, float("-inf"))
    target = torch.arange(len(gold))
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2


def straight_sign(x: Tensor) -> Tensor:
    """Sign in the forward pass; in the backward pass the slope of tanh of the row-normalised input."""
    soft = torch.tanh(x / x.detach().pow(2).mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-6))
    return soft + (torch.where(x > 0, 1.0, -1.0) - soft).detach()


def evaluate(
    engine: Engine, data: Path, adapter: dict[str, Tensor], limit: int = 400
) -> dict[str, dict[str, float]]:
    """Recall at 1, 5, 20 of the codes alone on each development set, searched within that set."""
    layer, results = int(adapter["recall.layer"][0]), {}
    for name in EVAL_SETS:
        passages, questions = read_eval(data, name)
        questions = [q for q in questions if q.answers]
        questions = random.Random(0).sample(questions, min(limit, len(questions)))
        place = {p.cid: i for i, p in enumerate(passages)}
        gold = torch.tensor([place[q.cid] for q in questions])
        hidden = passage_features(engine, [p.text for p in passages], [layer], name)[:, 0]
        asked = question_features(engine, [q.question for q in questions], [layer])[:, 0]
        keys = torch.where((hidden - adapter["recall.mean"]) @ adapter["recall.projection"].T > 0, 1.0, -1.0)
        queries = (asked - adapter["recall.query_mean"]) @ adapter["recall.query_projection"].T
        score = torch.where(queries > 0, 1.0, -1.0) @ keys.T
        rank = (score > score.gather(1, gold[:, None])).sum(dim=1)
        results[name] = {"passages": len(passages), "questions": len(gold)} | {
            f"recall@{k}": round(float((rank < k).float().mean()), 3) for k in (1, 5, 20)
        }
        print(name, results[name], file=sys.stderr)
    return results


def run(engine: Engine, data: Path, work: Path, out: Path, settings: RecallSettings) -> None:
    """Features, training, development results; the adapter tensors go to `out`, results beside the log in
    `work`.
    """
    adapter = train(cached_features(engine, data, work, settings), settings, work / "recall.jsonl")
    tensors = load_file(out) if out.is_file() else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t for name, t in tensors.items() if not name.startswith("recall.")} | adapter, out)
    results = {"settings": asdict(settings), "results": evaluate(engine, data, adapter)}
    (work / "recall-results.json").write_text(json.dumps(results, indent=1), "utf-8")


def add_arguments(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The stage's command line."""
    defaults = RecallSettings()
    stage = stages.add_parser("recall", help="train the recall head on cached hidden states")
    stage.add_argument("--model", type=Path, required=True, help="prepared model folder")
    stage.add_argument("--data", type=Path, required=True, help="folder of training and development files")
    stage.add_argument("--work", type=Path, required=True, help="folder for caches and logs (not committed)")
    stage.add_argument("--out", type=Path, required=True, help="adapter file to write or update")
    for name in ("layer", "passages", "epochs", "seed"):
        stage.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    settings = RecallSettings(
        layer=options.layer, passages=options.passages, epochs=options.epochs, seed=options.seed
    )
    run(Engine.load(options.model), options.data, options.work, options.out, settings)
