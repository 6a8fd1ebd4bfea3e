"""Stages `prepare` and `package`: the base as a folder to train on, and what was trained as one file."""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.convert.checkpoints import MOMENTS
from engine.errors import EngineError
from engine.prepare import ADAPTER, SETTINGS_KEY, prepare

LARGEST = 30_000_000


def package(sources: list[Path], out: Path, settings: dict[str, Any]) -> int:
    """Join adapter files and checkpoints into `out` (later ones win), low-rank pairs and gates in bfloat16;
    `settings` are put into config.json at set-up. Returns the bytes; EngineError beyond 30 MB.
    """
    tensors: dict[str, Tensor] = {}
    for source in sources:
        if not source.is_file():
            raise EngineError(f"no adapter file {source}", "Train the stage first.", "no_adapter")
        for name, value in load_file(source).items():
            if not name.startswith(tuple(f"{moment}:" for moment in MOMENTS)):
                tensors[name] = value.to(torch.bfloat16) if ".lora." in name else value
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    if size > LARGEST:
        raise EngineError(f"{size / 1e6:.0f} MB are more than 30 MB", "Train with a lower rank.", "too_large")
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out, metadata={SETTINGS_KEY: json.dumps(settings)})
    return out.stat().st_size


def spike_factors(values: list[float], layers: int) -> float | list[float]:
    """`spike_k` of config.json: one factor, or one a layer (the last of `values` for all further ones)."""
    if len(values) == 1:
        return values[0]
    return [*values, *[values[-1]] * (layers - len(values))]


def add_arguments(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command lines of both stages."""
    stage = stages.add_parser("prepare", help="the base, untrained, as a model folder to train on")
    stage.add_argument("--gguf", type=Path, required=True, help="base weights (Llama architecture)")
    stage.add_argument("--out", type=Path, required=True, help="model folder to write")
    stage.add_argument(
        "--spike-k", nargs="+", type=float, default=[3.0], help="threshold factor, or one a layer"
    )
    stage.add_argument("--window", type=int, help="attention window of every layer in place of the usual")
    stage.set_defaults(run=_prepare)
    stage = stages.add_parser("package", help="join what was trained into the file that set-up merges")
    stage.add_argument("sources", nargs="+", type=Path, help="adapter files and checkpoints; later ones win")
    stage.add_argument("--out", type=Path, default=ADAPTER)
    stage.add_argument("--model", type=Path, required=True, help="model folder that was trained on")
    stage.set_defaults(run=_package)


def _prepare(options: argparse.Namespace) -> None:
    prepare(options.gguf, options.out)
    path = options.out / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["spike_k"] = spike_factors(options.spike_k, len(config["windows"]))
    if options.window:
        config["windows"] = [options.window] * len(config["windows"])
    path.write_text(json.dumps(config, indent=1), "utf-8")


def _package(options: argparse.Namespace) -> None:
    config = json.loads((options.model / "config.json").read_text("utf-8"))
    size = package(options.sources, options.out, {"grounded": True, "spike_k": config["spike_k"]})
    print(f"{options.out}: {size / 1e6:.1f} MB")
