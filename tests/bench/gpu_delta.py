"""The gated delta rule on the GPU: right against its recurrence, then timed against a peer."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

from kernels.delta import delta_chunked, delta_recurrent
from kernels.delta.triton import delta_chunked_triton
from tests.bench.gpu_timing import Runner, against

LIMIT = 8 * 2**-8
"""Eight rounded factors (see tests/test_kernels_delta_triton.py)."""


def inputs(runner: Runner, length: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """q, k, v [H, T, D] and float32 log decay and strength [H, T], 16 heads of 128."""
    heads, dim = (1, 16) if runner.tiny else (16, 128)
    torch.manual_seed(0)
    parts = [torch.randn(heads, length, dim, device=runner.device).to(dtype) for _ in range(3)]
    gates = [torch.randn(heads, length, device=runner.device) for _ in range(2)]
    return [*parts, F.logsigmoid(gates[0]) / 8, gates[1].sigmoid()]


def correct(runner: Runner) -> dict[str, Any]:
    """Worst difference as a share of the largest value: outputs, final state, one more token."""
    parts = inputs(runner, 70 if runner.tiny else 301, torch.float32)
    out, final = delta_chunked_triton(*parts, bf16=True)
    step, _ = delta_chunked_triton(*(x[:, :1] for x in parts), final)
    truth, last = delta_recurrent(*(x.cpu().double() for x in parts))
    one, _ = delta_recurrent(*(x[:, :1].cpu().double() for x in parts), last)
    pairs = {"output": (out, truth), "state": (final, last), "step": (step, one)}
    worst = {
        f"worst_{name}": float((a.cpu().double() - b).abs().max() / b.abs().max())
        for name, (a, b) in pairs.items()
    }
    if not all(value <= LIMIT for value in worst.values()):
        raise ArithmeticError(f"beyond {LIMIT:.2g}: {worst}")
    return worst | {"limit": LIMIT}


def speed(runner: Runner) -> Iterator[dict[str, Any]]:
    """Milliseconds by length against flash-linear-attention's, and torch's chunked form at short ones."""
    for length in (70,) if runner.tiny else (4096, 16_384, 65_536):
        parts = inputs(runner, length, torch.bfloat16)
        calls = {"ours": lambda p=parts: delta_chunked_triton(*p, bf16=True)}
        if length <= 4096:
            calls["torch"] = lambda p=parts: delta_chunked(*(x.float() for x in p))
        note = _add_fla(calls, parts)
        yield against(runner.interleaved(calls), length=length, fla=note)


def _add_fla(calls: dict[str, Any], parts: list[torch.Tensor]) -> str:
    try:
        from fla.ops.gated_delta_rule import chunk_gated_delta_rule
    except Exception as error:
        return f"not measured: {type(error).__name__}: {error}"
    q, k, v, g, beta = (x.transpose(0, 1)[None].contiguous() for x in parts)
    calls["fla"] = lambda: chunk_gated_delta_rule(
        q, k, v, g, beta.to(q.dtype), output_final_state=True, use_qk_l2norm_in_kernel=True
    )
    return "chunk_gated_delta_rule"
