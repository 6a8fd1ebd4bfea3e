"""Each Triton kernel on the GPU: right against its reference, then timed against peers in the same run."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kernels.event.triton import event_linear_triton
from kernels.gla import gla_chunked, gla_recurrent
from kernels.gla.triton import gla_chunked_triton
from kernels.hamming.triton import hamming_distances_triton
from kernels.int8 import quantize_rows, spike_linear_reference
from kernels.int8.triton import spike_linear_triton
from kernels.spike import norm_encode
from kernels.spike.triton import encode_triton
from kernels.window import Sinks, window_attention_reference
from kernels.window.triton import window_attention_triton
from tests.bench import gpu_delta
from tests.bench.gpu_timing import Runner, against
from tests.bench.record import RESULTS


class Kernels:
    """The measurements; sizes are those of the default model and of SpikingBrain-7B."""

    def __init__(self, runner: Runner) -> None:
        self.run = runner
        self.tiny = runner.tiny
        torch.manual_seed(0)

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(shape, device=self.run.device).to(dtype)

    def gla_inputs(self, length: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        heads, group, dim = (1, 2, 16) if self.tiny else (4, 7, 128)
        q, k, v = (
            self.normal(*shape, length, dim, dtype=dtype).relu()
            for shape in ((heads, group), (heads,), (heads,))
        )
        return q, k, v, F.logsigmoid(self.normal(heads, length, dim)) / 16

    def gla_correct(self) -> dict[str, Any]:
        """Worst difference as a share of the largest value: outputs, final state, one more token."""
        q, k, v, gates = self.gla_inputs(70 if self.tiny else 301, torch.float32)
        out, final = gla_chunked_triton(q, k, v, gates, bf16=True)
        double = [x.cpu().double() for x in (k, v, gates)]
        truth, last = gla_recurrent(q[:, 0].cpu().double(), *double)
        step, _ = gla_chunked_triton(q[:, :, :1], k[:, :1], v[:, :1], gates[:, :1], final)
        expected, _ = gla_recurrent(q[:, 0, :1].cpu().double(), *(x[:, :1] for x in double), last)
        worst = {
            "output": _apart(out[:, 0], truth), "state": _apart(final, last),
            "step": _apart(step[:, 0], expected),
        }  # fmt: skip
        return _checked(worst, 8 * 2**-9)

    def window_correct(self) -> dict[str, Any]:
        """The same for window attention with sinks: many queries and one."""
        heads, kv, dim, left = (3, 1, 16, 16) if self.tiny else (9, 3, 64, 1024)
        length = 70 if self.tiny else 1301
        worst = {}
        for count in (length, 1):
            q, k, v = self.normal(heads, count, dim), *(self.normal(kv, length, dim) for _ in range(2))
            k, v = k.bfloat16(), v.bfloat16()
            sinks = Sinks(k[:, :4].contiguous(), v[:, :4].contiguous(), q, length)
            out = window_attention_triton(q, k, v, left, sinks).transpose(0, 1)
            held = Sinks(sinks.keys.cpu(), sinks.values.cpu(), q.cpu(), length)
            truth, _ = window_attention_reference(q.cpu(), k.cpu(), v.cpu(), left, held)
            worst[f"queries_{count}"] = float((out.cpu() - truth).abs().max())
        return _checked(worst, 8 * 2**-9 * 5)

    def spikes_correct(self) -> dict[str, Any]:
        """Counts that differ (share), and the product (relative), with bursts; one token and many."""
        rows, width, outputs = (40, 64, 70) if self.tiny else (301, 576, 960)
        x, weight = self.normal(rows, width), torch.rand(width, device=self.run.device) + 0.5
        x[:, 3] *= 400
        codes, scale = quantize_rows(self.normal(outputs, width))
        worst = {}
        for count in (rows, 1):
            spikes = encode_triton(x[:count], 3.0, weight, 1e-5)
            plain = norm_encode(x[:count], weight, 1e-5, 3.0)
            worst[f"counts_{count}"] = float((spikes.counts() != plain.counts()).float().mean())
            truth = spike_linear_reference(spikes.counts(), spikes.vth, codes, scale)
            worst[f"product_{count}"] = _apart(spike_linear_triton(spikes, codes, scale), truth)
        return _checked(worst, 1e-3)

    def gla_speed(self) -> Iterator[dict[str, Any]]:
        """Against flash-linear-attention's `chunk_gla` (keys repeated for all heads, as it needs them)."""
        for length in (70,) if self.tiny else (4096, 16_384, 65_536, 262_144):
            q, k, v, gates = self.gla_inputs(length, torch.bfloat16)
            calls = {"ours": lambda q=q, k=k, v=v, g=gates: gla_chunked_triton(q, k, v, g, bf16=True)}
            if length <= 4096:
                calls["torch"] = lambda q=q, k=k, v=v, g=gates: gla_chunked(
                    q.float(), k.float(), v.float(), g
                )
            note = _add_fla(calls, q, k, v, gates)
            yield against(self.run.interleaved(calls), length=length, fla=note)

    def window_speed(self) -> Iterator[dict[str, Any]]:
        """Against compiled `flex_attention` with the same window, and SDPA over everything before."""
        for heads, kv, dim, left in (
            ((3, 1, 16, 16),) if self.tiny else ((9, 3, 64, 1024), (28, 4, 128, 4096))
        ):
            for length in (70,) if self.tiny else (16_384,):
                q, k, v = (self.normal(h, length, dim, dtype=torch.bfloat16) for h in (heads, kv, kv))
                calls = {
                    "ours": lambda q=q, k=k, v=v, left=left: window_attention_triton(q, k, v, left),
                    "sdpa_full": lambda q=q, k=k, v=v: F.scaled_dot_product_attention(
                        q[None], k[None], v[None], is_causal=True, enable_gqa=True
                    ),
                }
                note = "dry run" if self.tiny else _add_flex(calls, q, k, v, left)
                shape = {"heads": heads, "dim": dim, "window": left, "length": length}
                yield against(self.run.interleaved(calls), **shape, flex=note)

    def spike_speed(self) -> Iterator[dict[str, Any]]:
        """Encoding, and the product against torch's INT8 and bfloat16 products; one token against bytes."""
        for rows, width, outputs in ((40, 64, 70),) if self.tiny else (
            (16_384, 576, 960), (16_384, 576, 3072), (16_384, 1536, 576), (16_384, 3584, 18_944),
            (1, 3584, 18_944),
        ):  # fmt: skip
            x, (codes, scale) = self.normal(rows, width), quantize_rows(self.normal(outputs, width))
            spikes, half = encode_triton(x, 3.0), x.bfloat16()
            dense = codes.bfloat16()
            calls = {
                "ours": lambda s=spikes, c=codes, w=scale: spike_linear_triton(s, c, w),
                "bfloat16": lambda h=half, d=dense: h @ d.T,
                "encode": lambda x=x: encode_triton(x, 3.0),
            }
            if rows > 16 and not self.tiny and outputs % 8 == 0:
                calls["int_mm"] = lambda s=spikes, c=codes: torch._int_mm(s.low, c.t())
            times = self.run.interleaved(calls)
            rate = 2 * rows * width * outputs / times["ours"] / 1e9
            shape = {
                "rows": rows,
                "width": width,
                "outputs": outputs,
                "tera_operations_per_s": round(rate, 2),
            }
            shape["weight_gb_per_s"] = round(codes.numel() / times["ours"] / 1e6, 1)
            yield against(times, **shape)

    def event_speed(self) -> Iterator[dict[str, Any]]:
        """One token, silent channels skipped, against reading all weights, by share of silent channels."""
        width, outputs = (64, 70) if self.tiny else (18_944, 3584)
        codes, scale = quantize_rows(self.normal(outputs, width))
        columns = codes.t().contiguous()
        for silent in (0.5,) if self.tiny else (0.0, 0.2, 0.4, 0.6, 0.8, 0.95):
            x = self.normal(1, width)
            x[0, torch.rand(width, device=x.device) < silent] = 0
            spikes = encode_triton(x, 3.0)
            counts = spikes.counts()[0]
            calls = {
                "ours": lambda c=counts, s=spikes: event_linear_triton(c, s.vth[0], columns, scale),
                "all_weights": lambda s=spikes: spike_linear_triton(s, codes, scale),
            }
            share = round(float((counts == 0).float().mean()), 3)
            yield against(self.run.interleaved(calls), silent_share=share)

    def search_speed(self) -> dict[str, Any]:
        """500,000 codes of 512 bits (100 million tokens)."""
        count = 500 if self.tiny else 500_000
        codes = torch.randint(0, 256, (count, 64), dtype=torch.uint8, device=self.run.device)
        query = codes[7].clone()
        signs = codes[:, :1].float()
        right = int(hamming_distances_triton(codes, query)[7]) == 0
        calls = {"ours": lambda: hamming_distances_triton(codes, query), "copy": lambda: signs.clone()}
        return against(self.run.interleaved(calls), codes=count, finds_itself=right)


def _add_fla(calls: dict[str, Any], q, k, v, gates) -> str:
    try:
        from fla.ops.gla import chunk_gla
    except Exception as error:
        return f"not measured: {type(error).__name__}: {error}"
    heads, group, length, dim = q.shape
    wide = [
        x.repeat_interleave(group, 0).transpose(0, 1)[None].contiguous() for x in (k, v, gates.to(q.dtype))
    ]
    asked = q.reshape(heads * group, length, dim).transpose(0, 1)[None].contiguous()
    calls["fla"] = lambda: chunk_gla(asked, *wide, output_final_state=True)
    return "chunk_gla"


def _add_flex(calls: dict[str, Any], q, k, v, left: int) -> str:
    try:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        def seen(_batch, _head, query, key):
            return (query >= key) & (query - key <= left)

        mask = create_block_mask(seen, None, None, q.shape[1], k.shape[1], device=q.device)
        flex = torch.compile(flex_attention)
        flex(q[None], k[None], v[None], block_mask=mask, enable_gqa=True)
    except Exception as error:
        return f"not measured: {type(error).__name__}"
    calls["flex"] = lambda: flex(q[None], k[None], v[None], block_mask=mask, enable_gqa=True)
    return "flex_attention, compiled"


def _apart(ours: torch.Tensor, truth: torch.Tensor) -> float:
    return float((ours.cpu().double() - truth.cpu().double()).abs().max() / truth.abs().max())


def _checked(worst: dict[str, float], limit: float) -> dict[str, Any]:
    """The differences; an error if one is above `limit` (or is no number)."""
    if not all(value <= limit for value in worst.values()):
        raise ArithmeticError(f"beyond {limit:.2g}: {worst}")
    return {f"worst_{name}": value for name, value in worst.items()} | {"limit": limit}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small sizes in Triton's interpreter: a dry run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    runner = Runner(options.out, options.tiny)
    kernels = Kernels(runner)
    for name in ("gla_correct", "window_correct", "spikes_correct", "gla_speed", "window_speed",
                 "spike_speed", "event_speed", "search_speed"):  # fmt: skip
        runner.step(name, getattr(kernels, name))
    runner.step("delta_correct", lambda: gpu_delta.correct(runner))
    runner.step("delta_speed", lambda: gpu_delta.speed(runner))
    return runner.finish()


if __name__ == "__main__":
    sys.exit(main())
