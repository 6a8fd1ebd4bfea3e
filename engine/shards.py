"""Safetensors files of a checkpoint folder: one, or several with an index."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from engine.errors import ModelError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def locate_tensors(folder: Path) -> dict[str, Path]:
    """The file that holds each tensor; ModelError names the file or tensor that is amiss."""
    index = _read_index(folder)
    home: dict[str, Path] = {}
    for path in _files(folder, index):
        for name in _names(path):
            if name in home:
                raise ModelError(
                    f"tensor {name!r} is both in {home[name].name} and in {path.name}",
                    "Remove the file that does not belong to the checkpoint.",
                )
            home[name] = path
    for name, file in index.items():
        if name not in home or home[name].name != Path(file).name:
            raise ModelError(
                f"{Path(file).name} lacks the tensor {name!r} that {INDEX} places there",
                "Download the file again.",
            )
    return home


def _read_index(folder: Path) -> dict[str, str]:
    """The file of each tensor by the index; empty without one."""
    path = folder / INDEX
    if not path.is_file():
        return {}
    try:
        placed = json.loads(path.read_text("utf-8"))["weight_map"]
        index = {str(name): str(file) for name, file in placed.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{INDEX} is not an index of tensors: {error}", "Download it again.") from error
    other = sorted({file for file in index.values() if not file.endswith(".safetensors")})
    if other:
        raise ModelError(f"{INDEX} names {other[0]}", "Engram loads safetensors only, never pickles.")
    return index


def _files(folder: Path, index: dict[str, str]) -> list[Path]:
    single = folder / SINGLE  # as in transformers, other safetensors files beside it are none of ours
    files = sorted({folder / Path(file).name for file in index.values()})
    files = files or ([single] if single.is_file() else sorted(folder.glob("*.safetensors")))
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise ModelError(
            f"the checkpoint lacks the files {', '.join(missing)}", "Download them into the folder."
        )
    if not files:
        pickles = [path.name for pattern in PICKLES for path in folder.glob(pattern)]
        hint = (
            "Engram loads safetensors only, never pickles: convert the file."
            if pickles
            else "Is this a model folder?"
        )
        raise ModelError(f"no .safetensors file in {folder}", hint, "no_weights")
    return files


def _names(path: Path) -> list[str]:
    try:
        with safe_open(str(path), framework="pt") as file:
            return list(file.keys())
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path.name} cannot be read as safetensors: {error}", "Download or prepare the file again."
        ) from error
