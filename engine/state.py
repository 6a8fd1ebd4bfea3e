"""The trace of a reading: what the model keeps of a context, constant in size."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from engine.errors import StateError
from engine.window_cache import Rotary, WindowCache

if TYPE_CHECKING:
    from engine.engine import Engine

FORMAT = "engram-state-1"


@dataclass(slots=True)
class LayerState:
    """One layer's memory: a window of keys and values, and the matrix of gated linear attention [Hk, K, V]
    float32.
    """

    window: WindowCache | None
    linear: Tensor | None


class ContextState:
    """What an engine keeps of the tokens read so far; made by `Engine.new_state`, advanced by the engine
    only.
    """

    def __init__(
        self, fingerprint: str, layers: list[LayerState], passage_sum: Tensor, rotary: Rotary
    ) -> None:
        self.fingerprint = fingerprint
        self.layers = layers
        self.tokens_read = 0
        self.passage_sum = passage_sum
        self.passage_count = 0
        self._rotary = rotary

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors held."""
        total = self.passage_sum.numel() * self.passage_sum.element_size()
        for layer in self.layers:
            total += layer.window.nbytes if layer.window is not None else 0
            total += layer.linear.numel() * layer.linear.element_size() if layer.linear is not None else 0
        return total

    def clone(self) -> "ContextState":
        """An independent copy."""
        layers = [
            LayerState(
                layer.window.clone(self._rotary) if layer.window is not None else None,
                layer.linear.clone() if layer.linear is not None else None,
            )
            for layer in self.layers
        ]
        twin = ContextState(self.fingerprint, layers, self.passage_sum.clone(), self._rotary)
        twin.tokens_read, twin.passage_count = self.tokens_read, self.passage_count
        return twin

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, the live part of each window only; equal states give equal tensors."""
        named = {"passage_sum": self.passage_sum}
        for i, layer in enumerate(self.layers):
            if layer.window is not None:
                keys, values = layer.window.live()
                named[f"layers.{i}.keys"], named[f"layers.{i}.values"] = keys, values
                named[f"layers.{i}.sink_keys"] = layer.window.sink_keys
                named[f"layers.{i}.sink_values"] = layer.window.sink_values
            if layer.linear is not None:
                named[f"layers.{i}.linear"] = layer.linear
        return named

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write atomically: a crash or a full disk leaves the older file or none. OSError passes through."""
        meta = {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "tokens_read": str(self.tokens_read),
            "passage_count": str(self.passage_count),
            "seen": json.dumps(
                [layer.window.seen if layer.window is not None else 0 for layer in self.layers]
            ),
        }
        blob = save({name: t.cpu().contiguous() for name, t in self.tensors().items()}, metadata=meta)
        write_atomically(Path(path), blob)

    @staticmethod
    def load(path: str | os.PathLike[str], engine: "Engine") -> "ContextState":
        """Read a state back for `engine`; StateError if it is damaged or another model wrote it."""
        try:
            with safe_open(str(path), framework="pt") as file:
                meta = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except FileNotFoundError as error:
            raise StateError(
                f"no saved state at {path}", "Read the archive again.", "state_missing"
            ) from error
        except (SafetensorError, OSError) as error:
            raise StateError(
                f"the saved state {Path(path).name} is damaged: {error}",
                "Delete it; reading goes on from an older checkpoint.",
                "state_damaged",
            ) from error
        _check(meta, engine, Path(path).name)
        tensors = {name: t.to(engine.decoder.device) for name, t in tensors.items()}
        return _rebuild(engine.new_state(), meta, tensors, Path(path).name)


def _check(meta: dict[str, str], engine: "Engine", name: str) -> None:
    if meta.get("format") != FORMAT:
        raise StateError(
            f"{name} is not a saved state of this version", "Read the archive again.", "state_format"
        )
    if meta.get("fingerprint") != engine.fingerprint:
        raise StateError(
            f"{name} was written by another model (fingerprint {meta.get('fingerprint', '?')[:12]}, "
            f"this model is {engine.fingerprint[:12]})",
            "Choose the model that read the archive, or read it again with this one.",
            "state_other_model",
        )


def _rebuild(
    state: ContextState, meta: dict[str, str], tensors: dict[str, Tensor], name: str
) -> ContextState:
    try:
        seen = json.loads(meta["seen"])
        for i, layer in enumerate(state.layers):
            if layer.window is not None:
                layer.window = WindowCache.restore(
                    tensors.pop(f"layers.{i}.keys"),
                    tensors.pop(f"layers.{i}.values"),
                    tensors.pop(f"layers.{i}.sink_keys"),
                    tensors.pop(f"layers.{i}.sink_values"),
                    layer.window.left,
                    seen[i],
                    state._rotary,
                    layer.window.true_positions,
                )
            if layer.linear is not None:
                layer.linear = tensors.pop(f"layers.{i}.linear").clone()
        state.passage_sum = tensors.pop("passage_sum").clone()
        state.tokens_read, state.passage_count = int(meta["tokens_read"]), int(meta["passage_count"])
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise StateError(
            f"the saved state {name} is incomplete: {error}", "Read the archive again.", "state_damaged"
        ) from error
    if tensors:
        raise StateError(
            f"{name} holds unknown tensors: {sorted(tensors)}", "Read the archive again.", "state_format"
        )
    return state


def write_atomically(path: Path, blob: bytes) -> None:
    """Write, flush to disk, rename; the temporary file never survives an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
