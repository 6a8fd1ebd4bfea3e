"""Stage `recall`: train the projections that turn mean hidden states into 512-bit recall codes.

Passages are read inside one long stream, questions alone, both with the product's own engine; their mean
hidden states after an early layer are cached. Two projections (passage side, question side) are then
trained so that the Hamming distance of the signs ranks passages: InfoNCE (van den Oord et al. 2018, arXiv
1807.03748) over the passages of the batch and passages mined by the codes themselves, straight-through sign.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.convert.data import (
    DISTRACTORS,
    EVAL_SETS,
    Passage,
    Question,
    passage,
    question,
    read_eval,
    read_lines,
)
from engine.convert.features import passage_features, question_features, token_salience
from engine.convert.losses import LossLog
from engine.convert.training import settings_of
from engine.engine import Engine
from engine.evidence import tokenizer_of


@dataclass(frozen=True, slots=True)
class RecallSettings:
    """Settings of the recall stage; `layer` layers are run before pooling. `mined`: for every question one of
    so many nearest wrong passages is a negative too, searched anew each epoch after `mine_after` epochs.
    `distractors` a question are left for the answer stage.
    """

    layer: int = 2
    bits: int = 512
    passages: int = 16_000
    questions_per_passage: int = 3
    batch: int = 2048
    epochs: int = 3
    rate: float = 4e-3
    temperature: float = 0.05
    mined: int = 0
    mine_after: int = 1
    distractors: int = 4
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
    """Features of the training sample, computed once: `passages` [N, d], `questions` [M, d], `gold` [M]
    (which passage answers a question), `salience` [V].
    """
    file = (
        work
        / f"recall-{settings.layer}-{settings.passages}-{settings.seed}-{engine.fingerprint[:12]}.safetensors"
    )
    if file.is_file():
        return load_file(file)
    passages, questions = sample(data, settings)
    place = {item.cid: i for i, item in enumerate(passages)}
    texts, asked, layers = [p.text for p in passages], [q.question for q in questions], [settings.layer]
    salience = token_salience(tokenizer_of(engine), texts, engine.config.vocab_size)
    features = {
        "salience": salience,
        "passages": passage_features(engine, texts, layers, salience)[:, 0],
        "questions": question_features(engine, asked, layers, salience)[:, 0],
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
    losses = LossLog(log, "recall", 0, settings.epochs)
    for epoch in range(settings.epochs):
        order, total, near = torch.randperm(len(gold)), 0.0, None
        if settings.mined and epoch >= settings.mine_after:
            near = mine(sides[1] @ weights[1].T, sides[0] @ weights[0].T, gold, settings.mined)
        for first in range(0, len(gold) - settings.batch + 1, settings.batch):
            rows = order[first : first + settings.batch]
            keys = gold[rows]
            if near is not None:
                keys = torch.cat([keys, near[rows, torch.randint(near.shape[1], (len(rows),))]])
            loss = contrast(sides[1][rows] @ weights[1].T, sides[0][keys] @ weights[0].T, keys, settings)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * settings.batch / len(gold)
        losses.add(epoch + 1, total, 0)
    with torch.no_grad():
        return {
            "recall.layer": torch.tensor([settings.layer]),
            "recall.mean": passages.mean(dim=0),
            "recall.projection": (weights[0] / spread).contiguous(),
            "recall.query_mean": questions.mean(dim=0),
            "recall.query_projection": (weights[1] / spread).contiguous(),
            "recall.salience": features["salience"],
        }


@torch.no_grad()
def mine(queries: Tensor, keys: Tensor, gold: Tensor, count: int) -> Tensor:
    """Indices [M, count] of the wrong passages nearest in code to each of M questions, among N keys."""
    sides = [torch.where(x > 0, 1.0, -1.0) for x in (queries, keys)]
    found = []
    for rows in torch.arange(len(queries)).split(2048):
        similarity = sides[0][rows] @ sides[1].T
        similarity[torch.arange(len(rows)), gold[rows]] = float("-inf")
        found.append(similarity.topk(min(count, len(keys) - 1), dim=1).indices)
    return torch.cat(found)


def distractors(
    features: dict[str, Tensor], adapter: dict[str, Tensor], cids: Sequence[str], count: int
) -> dict[str, list[str]]:
    """For each passage (of ids `cids`, in the order of the features) those that the finished codes find in
    its place, `count` for each of its questions.
    """
    queries = (features["questions"] - adapter["recall.query_mean"]) @ adapter["recall.query_projection"].T
    keys = (features["passages"] - adapter["recall.mean"]) @ adapter["recall.projection"].T
    found: dict[str, dict[str, None]] = {}
    near = mine(queries, keys, features["gold"], count).tolist()
    for place, others in zip(features["gold"].tolist(), near, strict=True):
        found.setdefault(cids[place], {}).update(dict.fromkeys(cids[i] for i in others))
    return {cid: list(others) for cid, others in found.items()}


def contrast(queries: Tensor, keys: Tensor, place: Tensor, settings: RecallSettings) -> Tensor:
    """InfoNCE between codes: queries [B, bits]; keys [K, bits] of passages `place` [K], the first B of them
    right in turn. All others are negatives, unless they are the same passage once more.
    """
    similarity = straight_sign(queries) @ straight_sign(keys).T / (settings.bits * settings.temperature)
    own = torch.arange(len(queries))
    same = place[own, None] == place[None, :]
    same[own, own] = False
    similarity = similarity.masked_fill(same, float("-inf"))
    back = similarity[:, : len(queries)].T
    return (F.cross_entropy(similarity, own) + F.cross_entropy(back, own)) / 2


def straight_sign(x: Tensor) -> Tensor:
    """Sign in the forward pass; in the backward pass the slope of tanh of the row-normalised input."""
    soft = torch.tanh(x / x.detach().pow(2).mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-6))
    return soft + (torch.where(x > 0, 1.0, -1.0) - soft).detach()


def evaluate(
    engine: Engine, data: Path, adapter: dict[str, Tensor], limit: int = 400
) -> dict[str, dict[str, float]]:
    """Recall at 1, 5, 20 of the codes alone on each development set, searched within that set."""
    layers, salience, results = [int(adapter["recall.layer"][0])], adapter["recall.salience"], {}
    for name in EVAL_SETS:
        passages, questions = read_eval(data, name)
        questions = [q for q in questions if q.answers]
        questions = random.Random(0).sample(questions, min(limit, len(questions)))
        place = {p.cid: i for i, p in enumerate(passages)}
        gold = torch.tensor([place[q.cid] for q in questions])
        hidden = passage_features(engine, [p.text for p in passages], layers, salience, name)[:, 0]
        asked = question_features(engine, [q.question for q in questions], layers, salience)[:, 0]
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
    `work`, with the distractors for the answer stage.
    """
    features = cached_features(engine, data, work, settings)
    adapter = train(features, settings, work / "recall.jsonl")
    tensors = load_file(out) if out.is_file() else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t for name, t in tensors.items() if not name.startswith("recall.")} | adapter, out)
    cids = [item.cid for item in sample(data, settings)[0]]
    near = distractors(features, adapter, cids, settings.distractors)
    (work / DISTRACTORS).write_text(json.dumps(near), "utf-8")
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
    for name in ("layer", "passages", "epochs", "mined", "seed"):
        stage.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    settings = settings_of(RecallSettings, options)
    run(Engine.load(options.model), options.data, options.work, options.out, settings)
