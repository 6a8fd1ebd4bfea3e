"""Training checkpoints as safetensors: parameters, AdamW moments, counters."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")


def save_checkpoint(
    path: Path,
    named: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    counters: Mapping[str, int],
) -> None:
    """Write everything a run needs to go on; the file is replaced in one step."""
    tensors: dict[str, Tensor] = {}
    steps = 0
    for name, value in named.items():
        tensors[name] = value.detach().cpu().contiguous()
        for moment in MOMENTS:
            if moment in optimizer.state[value]:
                tensors[f"{moment}:{name}"] = optimizer.state[value][moment].cpu().contiguous()
                steps = int(optimizer.state[value]["step"])
    unfinished = path.with_name(path.name + ".part")
    meta = {"counters": json.dumps({**counters, "optimizer_steps": steps})}
    save_file(tensors, unfinished, metadata=meta)
    os.replace(unfinished, path)


def load_checkpoint(
    path: Path, named: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> dict[str, int]:
    """Put a checkpoint back; returns its counters, empty if there is no file."""
    if not path.is_file():
        return {}
    with safe_open(path, "pt") as file, torch.no_grad():
        counters: dict[str, int] = json.loads(file.metadata()["counters"])
        names = set(file.keys())
        for name, value in named.items():
            value.copy_(file.get_tensor(name))
            if f"{MOMENTS[0]}:{name}" in names:
                state = {m: file.get_tensor(f"{m}:{name}").to(value.device) for m in MOMENTS}
                optimizer.state[value] = {"step": torch.tensor(float(counters["optimizer_steps"]))} | state
    return counters
