"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685) merged into INT8 weights at set-up."""

from collections.abc import Iterator, Mapping, MutableMapping

from torch import Tensor

from kernels.int8 import quantize_rows

DOWN = ".lora.down"
UP = ".lora.up"


def adapted(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Names of the matrices that have adapters among `tensors`."""
    return (name.removesuffix(DOWN) for name in tensors if name.endswith(DOWN))


def merge(tensors: MutableMapping[str, Tensor], adapter: Mapping[str, Tensor]) -> None:
    """Put an adapter file into a prepared model's `tensors`: low-rank pairs (`NAME.lora.down` [rank, K],
    `NAME.lora.up` [N, rank]) are added to the INT8 matrix NAME, which is quantised anew; the rest replaces.
    """
    for name in adapted(adapter):
        base = tensors[f"{name}.codes"].float() * tensors[f"{name}.scale"][:, None]
        low_rank = adapter[name + UP].float() @ adapter[name + DOWN].float()
        tensors[f"{name}.codes"], tensors[f"{name}.scale"] = quantize_rows(base + low_rank)
    tensors.update({name: value for name, value in adapter.items() if not name.endswith((DOWN, UP))})
