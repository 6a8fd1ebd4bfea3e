"""Sequences that know nothing of each other, read abreast: the weights are taken up once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.stepping import gathered

if TYPE_CHECKING:
    from engine.decoder import Decoder
    from engine.placement import Placement


SEGMENTS = 4
"""So many segments of tokens are read together: a question's candidates."""


class Abreast:
    """A part of `engine.engine.Engine`, which has what is only declared here."""

    if TYPE_CHECKING:
        decoder: Decoder
        placement: Placement

        def hidden(self, ids: Sequence[int]) -> Tensor: ...
        def _ids(self, ids: Sequence[int]) -> Tensor: ...
        def _begin(self) -> float: ...
        def _end(self, tokens: int, started: float) -> None: ...

    def hidden_each(self, sequences: Sequence[Sequence[int]]) -> Iterator[Tensor]:
        """`hidden` of each of `sequences`, which know nothing of each other; short ones are read together,
        which is faster.
        """
        for fits, run in groupby(sequences, lambda ids: self.fits_abreast([ids])):
            if fits:
                for group in gathered(run, self._abreast):
                    yield from self.advance_each(self.embed_each(group))
            else:
                yield from map(self.hidden, run)

    def fits_abreast(self, sequences: Sequence[Sequence[int]]) -> bool:
        """Whether `advance_each` can take these sequences: no layer of the model carries tokens on but by a
        window, and none of them is empty or longer than a segment.
        """
        return self.decoder.reads_abreast and all(0 < len(ids) <= self.placement.segment for ids in sequences)

    def embed_each(self, sequences: Sequence[Sequence[int]]) -> list[Tensor]:
        """What `advance_each` begins with: a stream float32 [T_i, d] of each."""
        return [self.decoder.embed(self._ids(ids)) for ids in sequences]

    def advance_each(
        self, streams: Sequence[Tensor], start: int = 0, stop: int | None = None
    ) -> Iterator[Tensor]:
        """`streams` of sequences that know nothing of each other after `start` layers, taken on to `stop`
        (None: to the last). Only where `fits_abreast`.
        """
        for group in gathered(streams, self._abreast):
            started = self._begin()
            with torch.inference_mode():
                taken = self.decoder.forward_each(group, start, stop)
            self._end(sum(map(len, taken)), started)
            yield from taken

    @property
    def _abreast(self) -> int:
        """Tokens that are read together at most."""
        return SEGMENTS * self.placement.segment
