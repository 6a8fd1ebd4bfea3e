"""Checking a checkpoint before it is loaded: all tensors there, and how much memory it will take."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from engine.checkpoint import open_checkpoint
from engine.config import ModelConfig, parse_config
from engine.engine import fingerprint_of
from engine.errors import ModelError
from engine.families import FAMILIES
from engine.headers import SCALES, HeaderSource, gguf_headers, read_headers
from engine.host import compute_dtype
from engine.memory_plan import MemoryPlan, plan_memory
from engine.spill import SpillSettings
from engine.tokenizer import Tokenizer
from engine.weights import ModelWeights

MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of a checkpoint without loading it. Archives can be read with it where `problems` is
    empty; `notes` says what else a person will miss.
    """

    family: str
    description: str
    files: int
    file_bytes: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    plan: MemoryPlan
    fingerprint: str
    recall: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def inspect_checkpoint(model: str | Path, *, identify: bool = True) -> Inspection:
    """Read config, tokenizer and headers of a checkpoint folder or GGUF file, in milliseconds; `identify`
    computes its fingerprint too, which takes a second for each gigabyte or so.

    ModelError where it is of no family that Engram runs, has keys that Engram does not know, or holds damaged
    files; missing, left-over, misshaped and mistyped tensors are all named in `problems`.
    """
    checkpoint = open_checkpoint(model)
    config = parse_config(
        checkpoint.raw
    )  # says what is wrong with it before any file of weights is looked for
    source = gguf_headers(checkpoint.gguf) if checkpoint.gguf else read_headers(checkpoint.path)
    quantised = any(name.endswith(SCALES) for name in source.headers)
    if quantised:
        config = parse_config(checkpoint.raw, quantised=True)
    kind = compute_dtype("auto", config)
    weights = _dry_load(source, config, kind)
    tokenizer = checkpoint.load_tokenizer()
    if tokenizer is None:
        source.problems.append("there is no tokenizer, so it can read no text: add its tokenizer.json")
    files = sorted({header.file for header in source.headers.values()})
    identity = checkpoint.identity(files, tokenizer) if identify else ""
    return Inspection(
        family=config.model_type,
        description=config.describe(),
        files=len(files),
        file_bytes=sum(path.stat().st_size for path in files),
        problems=_few(source.problems),
        notes=tuple(_notes(config, weights, tokenizer)),
        plan=plan_memory(
            config,
            _weight_bytes(source, weights, kind, quantised),
            kind.itemsize,
            SpillSettings.default().limit_bytes,
        ),
        fingerprint=fingerprint_of(identity, config.spike is not None, kind) if identify else "",
        recall=weights is not None and weights.recall is not None,
    )


def _dry_load(source: HeaderSource, config: ModelConfig, kind: torch.dtype) -> ModelWeights | None:
    """Let the family ask for its tensors, spike-coded only where the codes are in the file already; None
    where what is amiss kept it from getting through.
    """
    coded = config.spike is not None and not config.spike.w8aspike
    try:
        weights = FAMILIES[config.model_type].load(source, config, coded, kind)
    except (ModelError, RuntimeError, ValueError, IndexError) as error:
        if not source.problems:
            raise
        source.problems.append(f"the rest could not be checked: {error}")
        return None
    source.finish()
    return weights


def _weight_bytes(
    source: HeaderSource, weights: ModelWeights | None, kind: torch.dtype, quantised: bool
) -> int:
    if weights is None:
        return sum(header.count * kind.itemsize for header in source.headers.values())
    total = weights.nbytes()
    if quantised:  # those weights will be held as INT8 with float32 scales
        for name, header in source.headers.items():
            weight = source.headers.get(name.removesuffix(SCALES) + ".weight")
            if name.endswith(SCALES) and weight is not None and ".down_proj." not in name:
                total += 4 * header.count - weight.count * (kind.itemsize - 1)
    return total


def _notes(config: ModelConfig, weights: ModelWeights | None, tokenizer: Tokenizer | None) -> list[str]:
    notes = []
    if tokenizer is not None and tokenizer.vocab_size > config.vocab_size:
        notes.append(
            f"Its tokenizer has {tokenizer.vocab_size:,} tokens, the model {config.vocab_size:,} only."
        )
    elif tokenizer is not None and tokenizer.chat_template is None and tokenizer.im_start_id is None:
        notes.append("It has no chat template: answers are asked for in plain words.")
    if tokenizer is not None:
        try:
            tokenizer.chat_frame("")
        except ModelError as error:
            notes.append(f"Questions cannot be put to it: {error.message}. {error.hint}")
    if weights is not None and weights.recall is None:
        notes.append("It has no recall head: passages are found by their words alone.")
    return notes


def _few(problems: list[str]) -> tuple[str, ...]:
    more = len(problems) - MOST_PROBLEMS
    return (*problems[:MOST_PROBLEMS], *([f"and {more:,} more"] if more > 0 else []))
