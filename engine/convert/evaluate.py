"""Stage `evaluate`: development answers by the product's own path, and perplexity along a text."""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.answering import AnswerResult, answer, rank_evidence, worded
from engine.convert.data import EVAL_SETS, read_eval, read_lines
from engine.convert.progress import Progress
from engine.convert.scoring import contains, exact, f1
from engine.convert.training import settings_of
from engine.convert.trials import Trial, read_trials
from engine.engine import Engine
from engine.evidence import tokenizer_of
from engine.recording import record_spikes
from engine.state import ContextState


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """What is asked: `questions` a set, each of `passages` passages; `read` tokens of the set are read in
    before (0: nothing); perplexity over the last 1,024 tokens before each of `places`. `forced`: no refusing,
    so that the answers alone are judged.
    """

    sets: tuple[str, ...] = EVAL_SETS
    questions: int = 40
    passages: int = 3
    read: int = 0
    places: tuple[int, ...] = (2048, 8192)
    forced: bool = False
    seed: int = 0


def ask(engine: Engine, trial: Trial, state: ContextState | None, forced: bool = False) -> AnswerResult:
    """The product's answer to a trial."""
    ranked = rank_evidence(engine, trial.question, trial.evidence, len(trial.evidence))
    if forced:
        events = worded(engine, state, trial.question, [item.evidence for item in ranked], probability=1.0)
    else:
        events = answer(engine, state, trial.question, ranked)
    for event in events:
        if event.result is not None:
            return event.result
    raise RuntimeError("an answer ended without a result")


def judge(trials: Sequence[Trial], results: Sequence[AnswerResult]) -> dict[str, float]:
    """Shares over the trials: EM, F1 and containment of answers (a refusal scores 0), how often the right
    passage was cited among those cited, refusals where nothing answers and answers where something does.
    """
    pairs = [(t, r, plain_answer(r.answer)) for t, r in zip(trials, results, strict=True)]
    there = [(t, r, text) for t, r, text in pairs if t.gold is not None]
    given = [(t, r) for t, r, _ in there if r.quotes]
    absent = [r for t, r, _ in pairs if t.gold is None]
    scores: dict[str, Sequence[float]] = {
        "em": [exact(text, t.answers) for t, _, text in there],
        "f1": [f1(text, t.answers) for t, _, text in there],
        "contains": [contains(text, t.answers) for t, _, text in there],
        "quote_contains": [any(contains(q.quote, t.answers) for q in r.quotes) for t, r, _ in there],
        "citation_precision": [any(q.evidence_id == t.gold for q in r.quotes) for t, r in given],
        "answered_when_there": [bool(r.quotes) for _, r, _ in there],
        "short_answer": [text != " ".join(r.quotes[0].quote.split()) for _, r, text in there if r.quotes],
        "refused_when_absent": [not r.quotes for r in absent],
    }
    shares = {name: round(sum(values) / len(values), 3) for name, values in scores.items() if values}
    return {"there": len(there), "absent": len(absent), **shares}


def plain_answer(text: str) -> str:
    """An answer without its citation marks."""
    return text.rsplit(" [", 1)[0]


def read_in(engine: Engine, data: Path, name: str, tokens: int) -> ContextState:
    """A state that has read `tokens` tokens of a set's passages, as an archive's would."""
    tokenizer, state = tokenizer_of(engine), engine.new_state()
    ids: list[int] = []
    for item in read_eval(data, name)[0]:
        ids += [tokenizer.separator_id, *tokenizer.encode(item.text)]
        if len(ids) >= tokens:
            break
    return read_on(engine, ids[:tokens], state)


def read_on(engine: Engine, ids: Sequence[int], state: ContextState) -> ContextState:
    """`state` after reading on."""
    for _ in engine.read(ids, state):
        pass
    return state


def answers(engine: Engine, data: Path, settings: EvaluateSettings) -> dict[str, dict[str, float]]:
    """`judge` for every set, and the mean seconds a question."""
    found = {}
    for name in settings.sets:
        trials = read_trials(data, name, settings.questions, settings.passages, settings.seed)
        state = read_in(engine, data, name, settings.read) if settings.read else None
        started, progress, results = time.perf_counter(), Progress(name, len(trials), "questions"), []
        for trial in trials:
            results.append(ask(engine, trial, state, settings.forced))
            progress.add(1)
        progress.close()
        pace = (time.perf_counter() - started) / max(len(trials), 1)
        found[name] = judge(trials, results) | {"s_a_question": round(pace, 2)}
        print(name, found[name], file=sys.stderr, flush=True)
    return found


def perplexity(engine: Engine, data: Path, places: Iterable[int], seed: int = 0) -> dict[str, float]:
    """Perplexity over the 1,024 tokens before each place (at least as far apart), along one stream of physics
    books.
    """
    tokenizer, state, found, at = tokenizer_of(engine), engine.new_state(), {}, 0
    places = sorted(places)
    ids = _stream(data, tokenizer.separator_id, tokenizer.encode, places[-1], seed)
    for place in places:
        read_on(engine, ids[at : place - 1024], state)
        piece, at = ids[place - 1024 : place], place
        chosen = torch.log_softmax(engine.logits(piece, state)[:-1], dim=-1)
        chosen = chosen.gather(1, torch.tensor(piece[1:])[:, None])
        found[str(place)] = round(float(torch.exp(-chosen.mean())), 3)
    return found


def spikes(engine: Engine, data: Path, seed: int = 0) -> dict[str, float]:
    """Spikes a channel, silent share, and share of empty places among the three lowest bits, over every
    layer input of 1,024 tokens of long text.
    """
    tokenizer = tokenizer_of(engine)
    ids = _stream(data, tokenizer.separator_id, tokenizer.encode, 1024, seed)
    places = fired = silent = low = 0
    for item in record_spikes(engine, ids):
        counts = item.counts.abs().numpy()
        places += counts.size
        fired += int(np.bitwise_count(counts).sum())
        silent += int((counts == 0).sum())
        low += int(np.bitwise_count(counts & 7).sum())
    shares = {"spikes_per_channel": fired / places, "silent_share": silent / places}
    return {name: round(v, 4) for name, v in (shares | {"sparsity_3_bit": 1 - low / (3 * places)}).items()}


def _stream(data: Path, separator: int, encode: Any, length: int, seed: int) -> list[int]:
    texts = [r["text"] for r in read_lines(data / "text_physics.jsonl.xz")]
    random.Random(seed).shuffle(texts)
    ids: list[int] = []
    for text in texts:
        ids += [separator, *encode(text)]
        if len(ids) >= length:
            break
    return ids[:length]


def add_arguments(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The stage's command line."""
    defaults = EvaluateSettings()
    stage = stages.add_parser("evaluate", help="answers on the development sets, and perplexity")
    stage.add_argument("--model", type=Path, required=True, help="prepared model folder or checkpoint")
    stage.add_argument("--data", type=Path, required=True, help="folder of the development files")
    stage.add_argument("--out", type=Path, required=True, help="JSON lines file to append the result to")
    stage.add_argument("--name", required=True, help="what the model is called in the result")
    stage.add_argument("--sets", nargs="*", default=list(defaults.sets), choices=EVAL_SETS)
    stage.add_argument("--places", nargs="*", type=int, default=list(defaults.places))
    stage.add_argument("--dense", dest="spiking", action="store_const", const=False, default="auto")
    stage.add_argument("--spike-k", type=float, help="threshold factor in place of the model's own")
    stage.add_argument("--forced", action="store_true", help="never refuse: judge the answers alone")
    for name in ("questions", "passages", "read", "seed"):
        stage.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    settings = settings_of(EvaluateSettings, options)
    engine = Engine.load(options.model, spiking=options.spiking, spike_k=options.spike_k)
    result: dict[str, Any] = {"name": options.name, "spiking": engine.spiking, "settings": asdict(settings)}
    result |= {"spike_k": engine.config.spike.k} if engine.spiking and engine.config.spike else {}
    result |= {"backend": engine.backend, "fingerprint": engine.fingerprint[:12]}
    result["answers"] = answers(engine, options.data, settings) if settings.sets else {}
    if settings.places:
        result["perplexity"] = perplexity(engine, options.data, settings.places, settings.seed)
    if engine.spiking:
        result["spikes"] = spikes(engine, options.data, settings.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")
