"""What a model path leads to: a folder of safetensors or a GGUF file, with its config and tokenizer."""

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.gguf_source import GgufSource
from engine.shards import PICKLES
from engine.sources import TensorSource
from engine.tokenizer import Tokenizer
from engine.vocab_files import has_vocab_files

HASH_WHOLE_BELOW = 1 << 30


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model on disk: `raw` is its config as in config.json, `gguf` its file if it is one."""

    path: Path
    raw: dict[str, Any]
    gguf: GgufSource | None = None

    def open_tensors(self) -> TensorSource | GgufSource:
        """Its tensors, memory-mapped."""
        return self.gguf or TensorSource(self.path)

    def load_tokenizer(self) -> Tokenizer | None:
        """Its tokenizer, None where the folder brings none."""
        if self.gguf is not None:
            return Tokenizer.from_gguf(self.gguf.reader)
        found = (self.path / "tokenizer.json").is_file() or has_vocab_files(self.path)
        return Tokenizer.load(self.path) if found else None

    def identity(self, files: list[Path], tokenizer: Tokenizer | None) -> str:
        """Everything on disk that decides results: weights, config, tokenizer."""
        words = tokenizer.fingerprint if tokenizer is not None else ""
        return f"{weights_digest(files)}:{json.dumps(self.raw, sort_keys=True)}:{words}"


def open_checkpoint(model: str | Path, models_dir: str | Path | None = None) -> Checkpoint:
    """The checkpoint at a path, or the default model below `models_dir`; ModelError if there is none."""
    if str(model) == "default":
        path = _default_folder(models_dir)
    else:
        path = Path(model)
    if path.is_dir():
        return Checkpoint(path, _read_config(path))
    if not path.is_file():
        raise ModelError(f"no model folder at {path}", "Give the path of a checkpoint folder.", "no_model")
    if path.suffix.lower() == ".gguf":
        source = GgufSource(path)
        return Checkpoint(path, source.config(), source)
    pickle = any(path.match(pattern) for pattern in PICKLES)
    raise ModelError(
        f"{path.name} is not a model that Engram loads",
        "Engram loads safetensors and GGUF only, never pickles: convert the file."
        if pickle
        else "Give the path of a checkpoint folder or of a GGUF file.",
        "no_model",
    )


def weights_digest(files: list[Path]) -> str:
    """SHA-256 over the files; above 1 GiB a file counts by its header, size and 64 samples of 64 KiB."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}\n".encode())
        with open(path, "rb") as file:
            if size <= HASH_WHOLE_BELOW:
                while block := file.read(1 << 22):
                    digest.update(block)
                continue
            digest.update(file.read(1 << 20))
            for i in range(64):
                file.seek(size * i // 64)
                digest.update(file.read(1 << 16))
    return digest.hexdigest()


def _default_folder(models_dir: str | Path | None) -> Path:
    folder = (_home() / "models" if models_dir is None else Path(models_dir)) / "default"
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"the default model is not prepared in {folder}", "Run: python3 start.py setup", "no_model"
        )
    return folder


def _home() -> Path:
    """The home folder where the caller names none, as `storage.Home.default` has it."""
    if given := os.environ.get("ENGRAM_HOME"):
        return Path(given).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "engram"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "engram"
    return Path.home() / ".local" / "share" / "engram"


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        raw = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"no config.json in {folder}", "Is this a model folder?", "no_model") from error
    except ValueError as error:
        raise ModelError(f"config.json in {folder} is not valid JSON: {error}") from error
    if not isinstance(raw, dict):
        raise ModelError(f"config.json in {folder} is not an object")
    return raw
