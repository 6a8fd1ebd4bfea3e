"""Where weights come from, such as safetensors files: each tensor taken once, none left over."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open
from torch import Tensor

from engine.errors import ModelError
from engine.shards import locate_tensors

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
CODES = (torch.int8,)
INDICES = (torch.int64, torch.int32)


class Source(Protocol):
    """Where a family takes its tensors from."""

    def take(self, name: str, *shape: int, dtypes: Sequence[torch.dtype] = FLOATS) -> Tensor:
        """The tensor `name`; ModelError if it is missing, or not of `shape` (any if empty) and `dtypes`."""

    def has(self, name: str) -> bool:
        """Whether there is a tensor of this name."""

    def skip(self, name: str) -> None:
        """A tensor that the arithmetic does not use may be there."""


@dataclass(slots=True)
class ShapeSource:
    """A checkpoint that has whatever is asked for, without data; what was asked for is in `shapes`."""

    dtype: torch.dtype = torch.bfloat16
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def take(self, name: str, *shape: int, dtypes: Sequence[torch.dtype] = FLOATS) -> Tensor:
        """An empty tensor on the meta device."""
        self.shapes[name] = shape
        return torch.empty(shape, dtype=self.dtype if self.dtype in dtypes else dtypes[0], device="meta")

    def has(self, name: str) -> bool:
        """False: nothing optional."""
        return False

    def skip(self, name: str) -> None:
        """Nothing to skip."""


class TensorSource:
    """Safetensors files of a folder (one, or sharded with an index), memory-mapped.

    Each tensor gets a mapping of its own, so that one which was only converted leaves memory with it:
    loading peaks at the weights plus one tensor.
    """

    def __init__(self, folder: Path) -> None:
        self._home = locate_tensors(folder)
        self.files = sorted(set(self._home.values()))
        self._left = set(self._home)

    @property
    def quantised(self) -> bool:
        """Whether this is a W8ASpike checkpoint."""
        return any(name.endswith(".weight_quantizer.scales") for name in self._home)

    def take(self, name: str, *shape: int, dtypes: Sequence[torch.dtype] = FLOATS) -> Tensor:
        """See `Source`; the tensor is a view of the file."""
        if name not in self._home:
            raise ModelError(f"the checkpoint lacks the tensor {name!r}", "The download may be incomplete.")
        with safe_open(str(self._home[name]), framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        check_tensor(name, tensor, shape, dtypes)
        self._left.discard(name)
        return tensor

    def has(self, name: str) -> bool:
        """See `Source`."""
        return name in self._home

    def skip(self, name: str) -> None:
        """See `Source`."""
        self._left.discard(name)

    def finish(self) -> None:
        """ModelError if tensors were left over."""
        refuse_left_over(self._left)


def check_tensor(name: str, tensor: Tensor, shape: Sequence[int], dtypes: Sequence[torch.dtype]) -> None:
    """ModelError if `tensor` is not of this shape (any if empty) and one of these dtypes."""
    if shape and tuple(tensor.shape) != tuple(shape):
        raise ModelError(
            f"tensor {name!r} has shape {list(tensor.shape)}, config.json asks for {list(shape)}"
        )
    if tensor.dtype not in dtypes:
        kinds = ", ".join(str(kind).removeprefix("torch.") for kind in dtypes)
        raise ModelError(
            f"tensor {name!r} holds {str(tensor.dtype).removeprefix('torch.')}, which Engram does not run",
            f"It takes {kinds} there.",
        )


def refuse_left_over(names: set[str]) -> None:
    """ModelError if there are names of tensors that no part of the model asked for."""
    if names:
        some = ", ".join(sorted(names)[:5])
        raise ModelError(
            f"{len(names)} tensors of the checkpoint are not part of its architecture: {some}",
            "config.json and weights do not belong together.",
        )
