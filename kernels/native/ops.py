"""Tensors in and out of the compiled kernels."""

import torch
from torch import Tensor

from kernels.int8 import Excess
from kernels.int8.group import group_linear, group_product
from kernels.native.layers import NativeLayers
from kernels.native.library import NativeLibrary
from kernels.ops import TorchOps
from kernels.spike.cpu import Burst, Spikes, digits, pad_channels
from kernels.window.reference import Sinks

MAX_SINKS = 16
MANY = 1 << 30
FEW_TOKENS = 8
"""Up to here the product with group-wise weights is compiled: it reads every row once, for all tokens."""


class NativeOps(TorchOps):
    """The operations of `kernels.ops.Ops`, compiled. Attention needs AVX-512 BF16 and bfloat16 keys, else
    torch does it.
    """

    def __init__(self, library: NativeLibrary) -> None:
        self._library = library
        self._call = library.functions
        self.layers = NativeLayers.of(library)
        kinds = ["VNNI"] * (library.layer_limit > MANY) + ["BF16"] * library.has_attention
        self.name = f"compiled AVX-512 {' '.join(kinds)}" if kinds else "compiled"

    def norm_encode(self, x: Tensor, weight: Tensor, eps: float, k: float) -> Spikes:
        """See `Ops`."""
        return self._encode(x, weight.contiguous(), eps, k)

    def encode(self, x: Tensor, k: float) -> Spikes:
        """See `Ops`."""
        return self._encode(x, None, 0.0, k)

    def swiglu_encode(self, total: Tensor, scale: Tensor, vth: Tensor, k: float) -> Spikes:
        """See `Ops`."""
        rows, inner = total.shape[0], total.shape[1] // 2
        total, scale, vth = total.contiguous(), scale.contiguous(), vth.contiguous()

        def run(low: Tensor, out: Tensor, bursts: Tensor) -> int:
            return int(
                self._call.engram_swiglu_encode(
                    total.data_ptr(), scale.data_ptr(), vth.data_ptr(), k, rows, inner,
                    low.data_ptr(), out.data_ptr(), bursts.data_ptr(), len(bursts),
                )
            )  # fmt: skip

        return _collect(run, rows, inner)

    def dequantize(self, total: Tensor, scale: Tensor, vth: Tensor, add_to: Tensor | None = None) -> Tensor:
        """See `Ops`."""
        if add_to is not None and not add_to.is_contiguous():
            return super().dequantize(total, scale, vth, add_to)
        total, scale, vth = total.contiguous(), scale.contiguous(), vth.contiguous()
        out = torch.empty(total.shape) if add_to is None else add_to
        self._call.engram_dequantize(
            total.data_ptr(),
            scale.data_ptr(),
            vth.data_ptr(),
            *total.shape,
            out.data_ptr(),
            add_to is not None,
        )
        return out

    def group_linear(
        self, spikes: Spikes, codes: Tensor, scale: Tensor, excess: Excess | None = None
    ) -> Tensor:
        """See `Ops`."""
        return group_linear(spikes, codes, scale, excess, self._group_product)

    def window_attention(
        self, q: Tensor, k: Tensor, v: Tensor, left: int, sinks: Sinks | None = None, position: int = 0
    ) -> Tensor:
        """See `Ops`."""
        heads, length, dim = q.shape
        amount = 0 if sinks is None else sinks.keys.shape[1]
        fits = (
            k.dtype == torch.bfloat16 and dim % 16 == 0 and q.dtype == torch.float32 and amount <= MAX_SINKS
        ) and (sinks is None or sinks.position == position)
        if not self._library.has_attention or not fits:
            return super().window_attention(q, k, v, left, sinks, position)
        q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
        k, v = (x if x.stride(-2) == dim else x.contiguous() for x in (k, v))
        plain, sink_k, sink_v = q, 0, 0
        if sinks is not None:
            plain = sinks.queries if sinks.queries.stride(-1) == 1 else sinks.queries.contiguous()
            keys, values = sinks.keys.contiguous(), sinks.values.contiguous()
            sink_k, sink_v = keys.data_ptr(), values.data_ptr()
        out = torch.empty(length, heads, dim)
        self._call.engram_window_attention(
            q.data_ptr(), q.stride(0), q.stride(1), plain.data_ptr(), plain.stride(0), plain.stride(1),
            k.data_ptr(), k.stride(0), v.data_ptr(), v.stride(0), sink_k, sink_v, amount,
            heads, k.shape[0], length, k.shape[1], dim, left, position, out.data_ptr(),
        )  # fmt: skip
        return out

    def place(
        self, q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, rotated: Tensor,
        values: Tensor,
    ) -> Tensor:  # fmt: skip
        """See `Ops`."""
        heads, length, dim = q.shape
        row = q.stride(1)
        # A single token has no next one: whatever stride torch names for it is as good.
        joined = all(
            x.stride()[::2] == (dim, 1) and (length == 1 or x.stride(1) == row) and x.dtype == torch.float32
            for x in (q, k, v)
        )
        head = keys.stride(0)
        cached = all(
            x.stride() == (head, dim, 1) and x.dtype == torch.bfloat16 for x in (keys, rotated, values)
        )
        if not joined or not cached:
            return super().place(q, k, v, cos, sin, keys, rotated, values)
        cos, sin = cos.contiguous(), sin.contiguous()
        out = torch.empty(length, heads, dim)
        self._call.engram_place(
            q.data_ptr(), k.data_ptr(), v.data_ptr(), row, cos.data_ptr(), sin.data_ptr(), length, heads,
            k.shape[0], dim, out.data_ptr(), keys.data_ptr(), rotated.data_ptr(), values.data_ptr(), head,
        )  # fmt: skip
        return out.transpose(0, 1)

    def _group_product(self, low: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
        fits = (
            0 < len(low) <= FEW_TOKENS
            and (low.dtype, codes.dtype, scale.dtype) == (torch.int8, torch.int8, torch.float32)
            and codes.is_contiguous()
            and low.shape[1] == codes.shape[1]
            and codes.shape[1] % scale.shape[1] == 0
        )
        if not fits:
            return group_product(low, codes, scale)
        low, scale = low.contiguous(), scale.contiguous()
        out = torch.empty(len(low), len(codes))
        self._call.engram_group_product(
            low.data_ptr(), codes.data_ptr(), scale.data_ptr(), len(low), low.shape[1], len(codes),
            scale.shape[1], out.data_ptr(),
        )  # fmt: skip
        return out

    def _encode(self, x: Tensor, weight: Tensor | None, eps: float, k: float) -> Spikes:
        x = x.float().contiguous()
        rows, columns = x.shape
        norm = 0 if weight is None else weight.data_ptr()

        def run(low: Tensor, vth: Tensor, bursts: Tensor) -> int:
            return int(
                self._call.engram_encode(
                    x.data_ptr(),
                    norm,
                    eps,
                    k,
                    rows,
                    columns,
                    low.data_ptr(),
                    vth.data_ptr(),
                    bursts.data_ptr(),
                    len(bursts),
                )
            )

        return _collect(run, rows, columns)


def _collect(run: object, rows: int, columns: int) -> Spikes:
    """Call `run(low, vth, bursts)`, again with more room if there were more bursts than thought."""
    assert callable(run)
    low = torch.empty(rows, columns, dtype=torch.int8)
    vth = torch.empty(rows, 1)
    room = 64 + 4 * rows
    while True:
        bursts = torch.empty(room, 3, dtype=torch.int32)
        count = run(low, vth, bursts)
        if count <= room:
            return Spikes(low, vth, _digits(bursts[:count], columns) if count else ())
        room = count


def _digits(bursts: Tensor, columns: int) -> tuple[Burst, ...]:
    """The list (row, channel, digit worth 128) as digits over the rows and channels that burst."""
    rows, row = torch.unique(bursts[:, 0].long(), return_inverse=True)
    channels, channel = torch.unique(bursts[:, 1].long(), return_inverse=True)
    channels = pad_channels(channels, columns)
    upper = torch.zeros(len(rows), len(channels))
    upper[row, channel] = bursts[:, 2].float()
    return digits(upper, rows, channels)
