"""Trainable low-rank adapters beside frozen matrices."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.errors import EngineError
from engine.lora import DOWN, UP

PARTS = ("qkv", "out", "gate_up", "down")


class Adapters(nn.Module):
    """A pair `down` [rank, K] (random) and `up` [N, rank] (zero, so that training starts at the base) for
    each matrix named in `shapes`.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, int]], rank: int, seed: int = 0) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self._pairs: dict[str, tuple[nn.Parameter, nn.Parameter]] = {}
        for name, (rows, columns) in shapes.items():
            down = nn.Parameter(torch.randn(rank, columns, generator=draw) * columns**-0.5)
            self._pairs[name] = (down, nn.Parameter(torch.zeros(rows, rank)))
            for suffix, value in zip((DOWN, UP), self._pairs[name], strict=True):
                self.register_parameter((name + suffix).replace(".", "/"), value)  # names cannot hold dots

    def pair(self, name: str) -> tuple[Tensor, Tensor] | None:
        """(down, up) of a matrix, None where it is not adapted."""
        return self._pairs.get(name)

    def named_tensors(self) -> dict[str, nn.Parameter]:
        """The parameters under the names they have in an adapter file."""
        return {
            name + suffix: value
            for name, pair in self._pairs.items()
            for suffix, value in zip((DOWN, UP), pair, strict=True)
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over tensors of the same names; pairs missing among them stay as they are. EngineError if none
        is there, or if they are of another rank.
        """
        known = {name: value for name, value in self.named_tensors().items() if name in tensors}
        if not known or any(value.shape != tensors[name].shape for name, value in known.items()):
            raise EngineError(
                "the adapters to start from are none of this model, or of another rank",
                "Give the rank they were trained with.",
                "other_adapters",
            )
        with torch.no_grad():
            for name, value in known.items():
                value.copy_(tensors[name])


def shapes_of(tensors: Mapping[str, Tensor], first: int) -> dict[str, tuple[int, int]]:
    """Shapes [N, K] of the matrices of the layers from `first` on, among a prepared model's tensors."""
    found = {}
    for name, value in tensors.items():
        base = name.removesuffix(".codes")
        if base != name and base.startswith("layers.") and int(base.split(".")[1]) >= first:
            found[base] = (value.shape[0], value.shape[1])
    return found
