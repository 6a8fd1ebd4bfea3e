"""How a text is cut on its way through the decoder, and how the next token is chosen."""

import itertools
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

import torch
from torch import Tensor

from engine.window_cache import SEGMENT

Piece = TypeVar("Piece", bound=Sized)


def aligned_chunks(
    ids: Iterable[int], position: int, size: int | None = None, segment: int = SEGMENT
) -> Iterator[list[int]]:
    """Lists of `ids` cut where the context position is a multiple of `size` or of a window `segment`; an
    interrupted reading so repeats the same arithmetic.
    """
    source, size = iter(ids), size or segment
    while piece := list(itertools.islice(source, min(size - position % size, segment - position % segment))):
        yield piece
        position += len(piece)


def gathered(sequences: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    """Runs of `sequences` with at most `size` places together; a longer one comes alone."""
    held: list[Piece] = []
    for piece in sequences:
        if held and sum(map(len, held)) + len(piece) > size:
            yield held
            held = []
        held.append(piece)
    if held:
        yield held


def choose(logits: Tensor, temperature: float, generator: torch.Generator | None) -> int:
    """A token by its `logits` [V]: the likeliest at temperature 0, else drawn."""
    if temperature <= 0:
        return int(logits.argmax())
    share = torch.softmax(logits.cpu() / temperature, dim=-1)  # the generator is the processor's
    return int(torch.multinomial(share, 1, generator=generator))
