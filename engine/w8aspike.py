"""The released W8ASpike arithmetic: which inputs fire, and weights INT8 by groups (golden README 4.2)."""

import torch.nn.functional as F
from torch import Tensor

from engine.coding import Linear, SpikeCoder
from kernels.int8 import quantize_symmetric
from kernels.spike import Spikes, decode_counts, encode_counts


class W8ASpikeCoder(SpikeCoder):
    """Spikes into group-wise INT8 weights; the down projection takes its input as it is."""

    true_positions = True

    def linear(self, layer: Linear, coded: Spikes | Tensor) -> Tensor:
        """float32 [T, N]; a layer without scales computes with the values that spikes stand for."""
        if isinstance(coded, Spikes) and layer.scale is not None:
            total = self.ops.group_linear(coded, layer.weight, layer.scale, layer.excess)
            return total if layer.bias is None else total.add_(layer.bias)
        values = coded.counts().float().mul_(coded.vth) if isinstance(coded, Spikes) else coded
        return F.linear(values.to(layer.weight.dtype), layer.weight, layer.bias).float()

    def add_linear(self, layer: Linear, coded: Spikes | Tensor, target: Tensor) -> None:
        """Add the layer's output to `target` float32 [T, N]."""
        target.add_(self.linear(layer, coded))

    def gated(self, layer: Linear, coded: Spikes) -> Tensor:  # type: ignore[override]
        """silu(gate) * up of a joined gate and up projection [2 I, K], not coded: float32 [T, I]."""
        gate, up = self.linear(layer, coded).chunk(2, dim=-1)
        return F.silu(gate) * up

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries as spikes with a threshold for each token and head, keys and values in INT8."""
        keys, values = (quantize_symmetric(x.float()).to(x.dtype) for x in (k, v))
        return decode_counts(*encode_counts(q, self.k)), keys, values
