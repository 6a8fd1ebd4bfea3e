"""What a layer of the student computes beside its matrix products, fused by torch's compiler where asked.

Eager, these many small operations make a training step on a CPU a sixth longer (340 against 395 tokens/s,
engine/convert/LOG.md); compiled, each function below is one or two passes over memory.
"""

import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.spike import threshold

Function = TypeVar("Function", bound=Callable[..., Any])


class Spiked(torch.autograd.Function):
    """`round(x / Vth) * Vth` with Vth = mean(|x|) / k for each row; the gradient passes as if untouched
    (Bengio et al. 2013, arXiv 1308.3432).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: Tensor | float, dtype: torch.dtype) -> Tensor:
        ctx.kind = x.dtype
        wide = x.float()
        vth = threshold(wide, k)
        return (torch.round(wide / vth) * vth).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0].to(ctx.kind), None, None


def coded(x: Tensor, k: Tensor | None, dtype: torch.dtype) -> Tensor:
    """`x` as a matrix product takes it: spike-coded with factor `k`, or (None) as it is."""
    return x.to(dtype) if k is None else Spiked.apply(x, k, dtype)


def normed(
    stream: Tensor, change: Tensor, weight: Tensor, eps: float, k: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """The stream float32 [T, d] after `change`, its RMS norm, and that coded."""
    stream = stream + change
    inner = F.rms_norm(stream, (stream.shape[-1],), weight, eps)
    return stream, inner, coded(inner, k, dtype)


def gated(joined: Tensor, k: Tensor | None, dtype: torch.dtype) -> Tensor:
    """SwiGLU of joined gate and up [T, 2 M], coded [T, M]."""
    gate, up = joined.float().chunk(2, dim=-1)
    return coded(F.silu(gate) * up, k, dtype)


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, half-split form: x [T, H, D], cos and sin [T, 1, D/2]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Pointwise:
    """The functions above; with `fused`, compiled on first use (half a minute, kept by torch for later)."""

    def __init__(self, fused: bool = False) -> None:
        self.coded = _compiled(coded) if fused else coded
        self.normed = _compiled(normed) if fused else normed
        self.gated = _compiled(gated) if fused else gated
        self.turned = _compiled(turned) if fused else turned


def can_fuse(device: str) -> bool:
    """Whether torch's compiler works here, tried on one row: it needs a C++ compiler, or Triton for a GPU."""
    row, k = torch.ones(2, 4, device=device), torch.tensor(2.0, device=device)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's compiler warns of what it does itself
            _compiled(coded)(row, k, torch.bfloat16)
    except Exception as error:
        print(f"training without fused operations: {error}".splitlines()[0], file=sys.stderr)
        return False
    return True


def _compiled(function: Function) -> Function:
    """Compiled for any number of rows."""
    return cast("Function", torch.compile(function, dynamic=True, fullgraph=True))
