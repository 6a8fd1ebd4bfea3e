"""Stage `rank`: train the two directions by which passages are sifted halfway through the layers.

Every passage that the product would weigh for a training question is read with it as in use, up to the layer
where it is told (`engine.sifting`); what is told from is cached. The directions are then fitted so that a
softmax over a question's passages picks a right one (listwise: Cao et al. 2007, "Learning to rank"), with an
L2 penalty.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.convert.losses import LossLog
from engine.convert.progress import Progress
from engine.convert.training import settings_of
from engine.engine import Engine
from engine.errors import EngineError
from engine.evidence import prompts_of
from engine.ranking import DIRECTIONS, LAYER, PREFIX
from engine.sifting import prompt_features

BLOCK = 50
"""Questions whose features are kept together."""


@dataclass(frozen=True, slots=True)
class RankSettings:
    """Settings of the stage; `layer` layers are read before it is told, every `held_out`th question is not
    trained on but measured.
    """

    layer: int = 16
    penalty: float = 0.03
    steps: int = 30
    held_out: int = 10


@dataclass(frozen=True, slots=True)
class Group:
    """A question, the (title, text) passages weighed for it, and which of them are right."""

    question: str
    passages: tuple[tuple[str, str], ...]
    right: tuple[int, ...]


def read_groups(path: Path) -> list[Group]:
    """The groups of a JSON-lines file (tests/bench/rank_groups.py writes one); EngineError names a bad
    line.
    """
    if not path.is_file():
        raise EngineError(f"no file of groups {path}", "Write it with tests/bench/rank_groups.py.", "no_data")
    groups = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            shown = tuple((str(title), str(text)) for title, text in record["passages"])
            group = Group(str(record["question"]), shown, tuple(sorted(map(int, record["right"]))))
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(
                f"line {number} of {path.name} is no group: {error}", "Write it anew."
            ) from error
        if not group.right or group.right[0] < 0 or group.right[-1] >= len(shown):
            raise EngineError(f"line {number} of {path.name} names no right passage", "Write it anew.")
        groups.append(group)
    if not groups:
        raise EngineError(
            f"{path.name} holds no group", "Write it with tests/bench/rank_groups.py.", "no_data"
        )
    return groups


def cached_features(engine: Engine, groups: Sequence[Group], folder: Path, layer: int) -> list[Tensor]:
    """float32 [passages, 2, d] of each group after `layer` layers; blocks that an interrupted run left in
    `folder` are not read again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    features: list[Tensor] = []
    progress = Progress("features", len(groups), "questions")
    for first in range(0, len(groups), BLOCK):
        block = groups[first : first + BLOCK]
        file = folder / f"{first:06d}.safetensors"
        if not file.is_file():
            found = [
                prompt_features(
                    engine, prompts_of(engine, [[p] for p in group.passages], group.question), layer
                )
                for group in block
            ]
            save_file({"features": torch.cat(found).half()}, file.with_suffix(".part"))
            file.with_suffix(".part").replace(file)
        features += load_file(file)["features"].float().split([len(group.passages) for group in block])
        progress.add(len(block))
    progress.close()
    return features


def train(
    features: Sequence[Tensor],
    right: Sequence[Sequence[int]],
    settings: RankSettings,
    log: Path | None = None,
) -> dict[str, Tensor]:
    """Adapter tensors `ranking.*` from `features` of the groups and their `right` passages; writes a JSON
    line a step (of L-BFGS) to `log`.
    """
    together = torch.cat(list(features)).flatten(1)
    spread = together.std(dim=0).clamp(min=1e-6)
    values = torch.nn.utils.rnn.pad_sequence(
        [some.flatten(1) / spread for some in features], batch_first=True
    )
    absent = torch.ones(values.shape[:2], dtype=torch.bool)
    wrong = absent.clone()
    for i, some in enumerate(features):
        absent[i, : len(some)] = False
        wrong[i, list(right[i])] = False
    weights = torch.zeros(values.shape[2], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=5, history_size=10, line_search_fn="strong_wolfe")

    def loss_of() -> Tensor:
        optimizer.zero_grad()
        shares = (values @ weights).masked_fill(absent, float("-inf")).log_softmax(dim=1)
        loss = -shares.masked_fill(wrong, float("-inf")).logsumexp(dim=1).mean()
        loss = loss + settings.penalty * weights.square().sum()
        loss.backward()
        return loss

    losses = LossLog(log, "rank", 0, settings.steps)
    for step in range(settings.steps):
        losses.add(step + 1, float(optimizer.step(loss_of).detach()), 0)
    directions = (weights.detach() / spread).reshape(features[0].shape[1:])
    return {LAYER: torch.tensor([settings.layer]), DIRECTIONS: directions.contiguous()}


def measure(
    features: Sequence[Tensor], right: Sequence[Sequence[int]], directions: Tensor
) -> dict[str, float]:
    """Share of questions with a right passage first, and among the first four, by what was promised."""
    places = []
    for some, good in zip(features, right, strict=True):
        order = (some * directions).sum(dim=(1, 2)).argsort(descending=True).tolist()
        places.append(min(order.index(i) for i in good))
    return {f"recall@{k}": round(sum(p < k for p in places) / max(len(places), 1), 3) for k in (1, 4)}


def run(engine: Engine, groups: Sequence[Group], work: Path, out: Path, settings: RankSettings) -> None:
    """Features, training and figures of the held-out questions; the adapter tensors go into `out`."""
    if not 0 < settings.layer < len(engine.config.layers) or not engine.decoder.reads_abreast:
        raise EngineError(
            f"this model cannot tell after {settings.layer} layers", "Give a --layer on the way.", "bad_layer"
        )
    digest = hashlib.sha256(repr(groups).encode()).hexdigest()
    folder = work / f"rank-{settings.layer}-{digest[:12]}-{engine.fingerprint[:12]}"
    features = cached_features(engine, groups, folder, settings.layer)
    right = [group.right for group in groups]
    parts: dict[bool, tuple[list[Tensor], list[Sequence[int]]]] = {True: ([], []), False: ([], [])}
    for i in range(len(groups)):
        kept = parts[i % settings.held_out == 0]
        kept[0].append(features[i])
        kept[1].append(right[i])
    trained = train(*parts[False], settings, work / "rank.jsonl")
    tensors = load_file(out) if out.is_file() else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t for name, t in tensors.items() if not name.startswith(PREFIX)} | trained, out)
    results: dict[str, Any] = {"settings": asdict(settings), "questions": len(groups)}
    results |= {
        name: measure(*parts[held], trained[DIRECTIONS])
        for name, held in (("trained", False), ("held_out", True))
    }
    (work / "rank-results.json").write_text(json.dumps(results, indent=1), "utf-8")
    print(f"held out: {results['held_out']}", file=sys.stderr)


def add_arguments(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The stage's command line."""
    defaults = RankSettings()
    stage = stages.add_parser("rank", help="train the score that sifts passages halfway through the layers")
    stage.add_argument("--model", type=Path, required=True, help="prepared model folder, adapter merged")
    stage.add_argument(
        "--groups",
        type=Path,
        required=True,
        help="questions with their passages (tests/bench/rank_groups.py)",
    )
    stage.add_argument("--work", type=Path, required=True, help="folder for caches and logs (not committed)")
    stage.add_argument("--out", type=Path, required=True, help="adapter file to write or update")
    for name in ("layer", "penalty", "steps"):
        value = getattr(defaults, name)
        stage.add_argument(f"--{name}", type=type(value), default=value)
    stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    groups = read_groups(options.groups)
    run(Engine.load(options.model), groups, options.work, options.out, settings_of(RankSettings, options))
