"""Keys and values a window layer still needs, with positions counted inside the cache."""

from collections.abc import Callable

import torch
from torch import Tensor

from kernels.ops import Ops, TorchOps
from kernels.rotary import inverse_frequencies, rotate

SLACK = 256
"""Places a buffer grows by at least."""

TABLE_LIMIT = 1 << 16
"""Positions with kept tables; later ones (of full attention) are computed when needed."""

SEGMENT = 1024
"""Tokens that share one count of positions; a chunk of text never crosses a multiple of it."""


def rotate_into(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor | None = None) -> Tensor:
    """`rotate` in float32, into `out` if given."""
    turned = rotate(x.float(), cos, sin)
    return turned if out is None else out.copy_(turned)


class Rotary:
    """Cosines and sines for positions 0, 1, ..., grown on demand; angles in float64, tables in float32 on
    `device`. `apply` rotates by them; `segment` tokens share one count of positions.
    """

    def __init__(
        self, head_dim: int, theta: float, segment: int = SEGMENT, device: torch.device | str = "cpu",
        apply: Callable[..., Tensor] = rotate_into,
    ) -> None:  # fmt: skip
        self.segment = segment
        self.apply = apply
        self.device = device
        self._frequencies = inverse_frequencies(head_dim, theta).double()
        self._cos = torch.empty(0, head_dim // 2, device=device)
        self._sin = torch.empty(0, head_dim // 2, device=device)
        self._far: tuple[tuple[int, int], tuple[Tensor, Tensor]] | None = None

    def tables(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """cos, sin [stop - start, D/2]; `start` may be negative."""
        if start < 0 or stop > TABLE_LIMIT:
            if self._far is None or self._far[0] != (start, stop):  # every layer asks for the same
                self._far = (start, stop), self._compute(start, stop)
            return self._far[1]
        if stop > len(self._cos):
            self._cos, self._sin = self._compute(0, max(stop, 2 * len(self._cos)))
        return self._cos[start:stop], self._sin[start:stop]

    def _compute(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        angle = torch.arange(start, stop, dtype=torch.float64)[:, None] * self._frequencies
        return angle.cos().float().to(self.device), angle.sin().float().to(self.device)


class WindowCache:
    """The last `left` keys (all of them if `left` is -1) and the first `sinks` of a context.

    Keys are kept unrotated. The rotated copy counts positions from `left` keys before the current segment of
    SEGMENT tokens (rotary attention depends on differences only), so they stay below window + SEGMENT at any
    context length and, being a function of the token's place alone, do not depend on how a text was chunked.
    With `true_positions` they are the context's own (for keys that are quantised after rotation).
    """

    def __init__(
        self, heads: int, dim: int, left: int, sinks: int, dtype: torch.dtype, true_positions: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        self.left = left
        self.true_positions = true_positions
        self.seen = 0
        self.length = 0
        self.origin = 0
        self.keys, self.rotated, self.values = (
            torch.empty(heads, 0, dim, dtype=dtype, device=device) for _ in range(3)
        )
        self.sink_keys, self.sink_values = (
            torch.empty(heads, sinks, dim, dtype=dtype, device=device) for _ in range(2)
        )
        self._sink_rotated: Tensor | None = None

    def extend(self, keys: Tensor, values: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """Append unrotated float32 `keys`, `values` [Hk, T, D] that lie in one segment; cos, sin [T, D/2]
        of their places.
        """
        self.append(keys[:0], keys, values, rotary, TorchOps())
        return rotary.tables(self.origin + self.length - keys.shape[1], self.origin + self.length)

    def append(self, q: Tensor, keys: Tensor, values: Tensor, rotary: Rotary, ops: Ops) -> Tensor:
        """Append unrotated float32 `keys`, `values` [Hk, T, D] that lie in one segment; q [H, T, D] rotated
        for their places.
        """
        count = keys.shape[1]
        segment = rotary.segment
        if self.left >= 0 and self.seen % segment + count > segment:
            raise ValueError(f"{count} tokens from position {self.seen} cross a segment of {segment}")
        self._keep_sinks(keys, values)
        if self.left >= 0 and self.seen % segment == 0 and self.seen:
            self._begin_segment(count, rotary)
        elif self.length + count > self.keys.shape[1]:
            self._grow(count)
        start, stop = self.length, self.length + count
        tables = rotary.tables(self.origin + start, self.origin + stop)
        new = (self.keys[:, start:stop], self.rotated[:, start:stop], self.values[:, start:stop])
        rotated = ops.place(q, keys, values, *tables, *new)
        self.length, self.seen = stop, self.seen + count
        return rotated

    def forget(self) -> None:
        """As if nothing had been appended; the memory stays allocated."""
        self.seen = self.length = self.origin = 0
        self._sink_rotated = None

    def visible(self, count: int) -> tuple[Tensor, Tensor]:
        """Rotated keys and values that the last `count` tokens can see, their own included: [Hk, N, D]
        each.
        """
        start = max(0, self.length - count - self.left) if self.left >= 0 else 0
        return self.rotated[:, start : self.length], self.values[:, start : self.length]

    def rotated_sinks(self, rotary: Rotary) -> Tensor:
        """Sink keys rotated by minus their fixed distance `left + sinks - i` [Hk, S, D]."""
        if self._sink_rotated is None:
            amount = self.sink_keys.shape[1]
            tables = rotary.tables(-self.left - amount, -self.left)
            self._sink_rotated = rotary.apply(self.sink_keys, *tables, out=torch.empty_like(self.sink_keys))
        return self._sink_rotated

    def live(self) -> tuple[Tensor, Tensor]:
        """The keys and values later tokens can still see: unrotated [Hk, n, D] each."""
        start = max(0, self.length - self.left) if self.left >= 0 else 0
        return self.keys[:, start : self.length], self.values[:, start : self.length]

    @property
    def nbytes(self) -> int:
        """Bytes held, buffers included."""
        tensors = (self.keys, self.rotated, self.values, self.sink_keys, self.sink_values)
        return sum(t.numel() * t.element_size() for t in tensors)

    def clone(self, rotary: Rotary) -> "WindowCache":
        """An independent copy."""
        keys, values = self.live()
        sinks = self.sink_keys, self.sink_values
        return self.restore(keys, values, *sinks, self.left, self.seen, rotary, self.true_positions)

    @classmethod
    def restore(
        cls,
        keys: Tensor,
        values: Tensor,
        sink_keys: Tensor,
        sink_values: Tensor,
        left: int,
        seen: int,
        rotary: Rotary,
        true_positions: bool = False,
    ) -> "WindowCache":
        """A cache holding copies of the given live tensors after `seen` tokens."""
        heads, length, dim = keys.shape
        cache = cls(heads, dim, left, sink_keys.shape[1], keys.dtype, true_positions, keys.device)
        cache.seen, cache.length = seen, length
        if left >= 0 and seen:
            segment = (seen - 1) // rotary.segment * rotary.segment
            cache.origin = seen - length - (0 if true_positions else max(0, segment - left))
        cache.keys, cache.values = keys.clone(), values.clone()
        tables = rotary.tables(cache.origin, cache.origin + length)
        cache.rotated = rotary.apply(keys, *tables, out=torch.empty_like(cache.keys))
        cache.sink_keys, cache.sink_values = sink_keys.clone(), sink_values.clone()
        return cache

    def _keep_sinks(self, keys: Tensor, values: Tensor) -> None:
        free = self.sink_keys.shape[1] - self.seen
        if free > 0:
            count = min(free, keys.shape[1])
            self.sink_keys[:, self.seen : self.seen + count] = keys[:, :count]
            self.sink_values[:, self.seen : self.seen + count] = values[:, :count]
            self._sink_rotated = None

    def _begin_segment(self, count: int, rotary: Rotary) -> None:
        """Forget keys that no later token sees and count positions anew."""
        keys, values = self.live()
        kept = keys.shape[1]
        self.origin = self.seen - kept if self.true_positions else 0
        tables = rotary.tables(self.origin, self.origin + kept)
        rotated = rotary.apply(keys, *tables, out=torch.empty_like(keys))
        self._move(keys, rotated, values, kept + max(count, SLACK))

    def _grow(self, count: int) -> None:
        # Doubling where everything is kept; one segment at most is still to come where a window slides.
        growth = max(count, SLACK if self.left >= 0 else max(SLACK, self.length))
        held = slice(0, self.length)
        self._move(self.keys[:, held], self.rotated[:, held], self.values[:, held], self.length + growth)

    def _move(self, keys: Tensor, rotated: Tensor, values: Tensor, capacity: int) -> None:
        kept = keys.shape[1]
        shape = (keys.shape[0], capacity, keys.shape[2])
        moved = [keys.new_empty(shape) for _ in range(3)]
        for target, source in zip(moved, (keys, rotated, values), strict=True):
            target[:, :kept] = source
        self.keys, self.rotated, self.values = moved
        self.length = kept
