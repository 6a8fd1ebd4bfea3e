"""Passages sifted while a question is read behind them: only those that promise most are read to the end.

Halfway through the layers the tokens of a question behind a passage, and the place where the answer will
begin, already show whether the passage answers it. A linear score that `engine.convert.rank` trains tells
(linear probes: Alain and Bengio 2016, arXiv 1610.01644; exits before the last layer: arXiv 1709.01686).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.engine import Engine


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tokens of a question behind some passages: `before` it, the question `asked`, and what comes `after`;
    `bare` if there is no passage.
    """

    before: Sequence[int]
    asked: Sequence[int]
    after: Sequence[int]
    bare: bool = False

    def __len__(self) -> int:
        return len(self.before) + len(self.asked) + len(self.after)

    @property
    def ids(self) -> list[int]:
        """All of them."""
        return [*self.before, *self.asked, *self.after]

    def question_rows(self, stream: Tensor) -> Tensor:
        """The rows of `stream` [T, d] that the question's tokens are predicted from, then the last."""
        first = len(self.before) - 1
        return torch.cat((stream[first : first + len(self.asked)], stream[-1:]))

    def features(self, stream: Tensor) -> Tensor:
        """float32 [2, d]: the mean of the question's rows of `stream` [T, d], and the last row."""
        first = len(self.before)
        return torch.stack((stream[first : first + len(self.asked)].mean(dim=0), stream[-1]))


@dataclass(frozen=True, slots=True)
class Sifted:
    """A prompt read to the end: its stream [T, d], and what it promised on the way (0 from models that were
    not trained to tell).
    """

    stream: Tensor
    promise: float = 0.0


def sift(engine: Engine, prompts: Sequence[Prompt], top: int) -> dict[int, Sifted]:
    """By their index those of `prompts` that are bare, and the `top` of the others that promise most; all of
    them from a model that cannot tell.
    """
    ranking, sequences = engine.decoder.weights.ranking, [prompt.ids for prompt in prompts]
    if ranking is None or not engine.fits_abreast(sequences):
        return {i: Sifted(stream) for i, stream in enumerate(engine.hidden_each(sequences))}
    halfway = list(engine.advance_each(engine.embed_each(sequences), 0, ranking.layer))
    promises = [
        float((prompt.features(stream) * ranking.directions).sum())
        for prompt, stream in zip(prompts, halfway, strict=True)
    ]
    order = sorted(range(len(prompts)), key=lambda i: (not prompts[i].bare, -promises[i]))
    kept = sorted(order[: top + sum(prompt.bare for prompt in prompts)])
    streams = engine.advance_each([halfway[i] for i in kept], ranking.layer)
    return {i: Sifted(stream, promises[i]) for i, stream in zip(kept, streams, strict=True)}


def prompt_features(engine: Engine, prompts: Sequence[Prompt], layer: int) -> Tensor:
    """float32 [N, 2, d]: what `sift` goes by after `layer` layers; the model must read by windows alone."""
    streams = engine.advance_each(engine.embed_each([prompt.ids for prompt in prompts]), 0, layer)
    return torch.stack([prompt.features(stream) for prompt, stream in zip(prompts, streams, strict=True)])
