"""The trace of a reading: what the model keeps of a context, constant in size."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.block_memory import BlockMemory
from engine.errors import StateError
from engine.sinks import LearnedSinks
from engine.spill import Page
from engine.state_file import open_pages, write_tensors
from engine.window_cache import Rotary, WindowCache

if TYPE_CHECKING:
    from engine.engine import Engine

FORMAT = "engram-state-1"


@dataclass(slots=True)
class LayerState:
    """One layer's memory: a window of keys and values, and the matrix of gated linear attention [Hk, K, V]
    float32 (of sparse states [1 + N, H, K, V]). `sinks` are the model's, shared by all states and not saved.
    `blocks` grow with the context.
    """

    window: WindowCache | None
    linear: Tensor | None
    sinks: LearnedSinks | None = None
    blocks: BlockMemory | None = None

    def forget(self) -> None:
        """As if nothing had been read, of windows and linear attention; the memory stays allocated."""
        if self.window is not None:
            self.window.forget()
        if self.linear is not None:
            self.linear = self.linear.new_zeros(self.linear.shape)


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
        self.passage_count = 0.0
        self._rotary = rotary

    @property
    def nbytes(self) -> int:
        """Bytes of all that is held, in RAM and (`spilled_nbytes`) on disk."""
        total = self.passage_sum.numel() * self.passage_sum.element_size()
        for layer in self.layers:
            total += layer.window.nbytes if layer.window is not None else 0
            total += layer.linear.numel() * layer.linear.element_size() if layer.linear is not None else 0
            total += layer.blocks.nbytes if layer.blocks is not None else 0
        return total

    @property
    def spilled_nbytes(self) -> int:
        """Bytes of the growing memory that lie on disk."""
        return sum(layer.blocks.spilled_nbytes for layer in self.layers if layer.blocks is not None)

    def clone(self) -> "ContextState":
        """An independent copy."""
        layers = [
            LayerState(
                layer.window.clone(self._rotary) if layer.window is not None else None,
                layer.linear.clone() if layer.linear is not None else None,
                layer.sinks,
                layer.blocks.clone() if layer.blocks is not None else None,
            )
            for layer in self.layers
        ]
        twin = ContextState(self.fingerprint, layers, self.passage_sum.clone(), self._rotary)
        twin.tokens_read, twin.passage_count = self.tokens_read, self.passage_count
        return twin

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, the live part of each window only; equal states give equal tensors. What a
        growing memory keeps in full pages is in `pages`.
        """
        named = {"passage_sum": self.passage_sum}
        for i, layer in enumerate(self.layers):
            if layer.window is not None:
                keys, values = layer.window.live()
                named[f"layers.{i}.keys"], named[f"layers.{i}.values"] = keys, values
                named[f"layers.{i}.sink_keys"] = layer.window.sink_keys
                named[f"layers.{i}.sink_values"] = layer.window.sink_values
            if layer.linear is not None:
                named[f"layers.{i}.linear"] = layer.linear
            if layer.blocks is not None:
                named |= {f"layers.{i}.blocks.{name}": t for name, t in layer.blocks.tensors().items()}
        return named

    def pages(self) -> dict[str, Page]:
        """Full pages of growing memories by name, in order."""
        memories = [(i, layer.blocks) for i, layer in enumerate(self.layers) if layer.blocks is not None]
        return {
            f"layers.{i}.pages.{n}": page for i, blocks in memories for n, page in enumerate(blocks.pages)
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write atomically: a crash or a full disk leaves the older file or none. OSError passes through."""
        pages = self.pages()
        meta = {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "tokens_read": str(self.tokens_read),
            "passage_count": str(self.passage_count),
            "seen": json.dumps(
                [layer.window.seen if layer.window is not None else 0 for layer in self.layers]
            ),
            "pages": json.dumps({name: (page.crc, page.blocks) for name, page in pages.items()}),
        }
        write_tensors(Path(path), {**self.tensors(), **pages}, meta)

    @staticmethod
    def load(path: str | os.PathLike[str], engine: "Engine") -> "ContextState":
        """Read a state back for `engine`; StateError if it is damaged or another model wrote it."""
        try:
            with safe_open(str(path), framework="pt") as file:
                meta = file.metadata() or {}
                names = set(file.keys()) - json.loads(meta.get("pages", "{}")).keys()
                tensors = {name: file.get_tensor(name) for name in names}
        except FileNotFoundError as error:
            raise StateError(
                f"no saved state at {path}", "Read the archive again.", "state_missing"
            ) from error
        except (SafetensorError, OSError, ValueError) as error:
            raise StateError(
                f"the saved state {Path(path).name} is damaged: {error}",
                "Delete it; reading goes on from an older checkpoint.",
                "state_damaged",
            ) from error
        _check(meta, engine, Path(path).name)
        tensors = {name: t.to(engine.decoder.device) for name, t in tensors.items()}
        return _rebuild(engine.new_state(), meta, tensors, Path(path))


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
    state: ContextState, meta: dict[str, str], tensors: dict[str, Tensor], path: Path
) -> ContextState:
    name = path.name
    try:
        seen = json.loads(meta["seen"])
        pages = open_pages(path, json.loads(meta.get("pages", "{}")))
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
            if layer.blocks is not None:
                opened, means = (tensors.pop(f"layers.{i}.blocks.{part}") for part in ("open", "means"))
                own = [n for n in pages if n.startswith(f"layers.{i}.pages.")]
                layer.blocks.restore(opened, means, [pages.pop(n) for n in own])
        state.passage_sum = tensors.pop("passage_sum").clone()
        state.tokens_read, state.passage_count = int(meta["tokens_read"]), float(meta["passage_count"])
        lengths = {layer.blocks.length for layer in state.layers if layer.blocks is not None}
        if lengths - {state.tokens_read}:
            raise ValueError(f"keys of {sorted(lengths)} tokens where {state.tokens_read} were read")
    except (KeyError, IndexError, ValueError, TypeError, OSError) as error:
        raise StateError(
            f"the saved state {name} is incomplete: {error}", "Read the archive again.", "state_damaged"
        ) from error
    if tensors or pages:
        raise StateError(
            f"{name} holds unknown tensors: {sorted({*tensors, *pages})}",
            "Read the archive again.",
            "state_format",
        )
    return state
