"""Weighted mean hidden states of passages inside one long stream, and of questions read alone."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from engine.convert.progress import Progress
from engine.engine import Engine
from engine.passages import NOTHING
from engine.tokenizer import Tokenizer

STREAM_CHUNK = 1024
COMMON = 1e-3
"""Share of all tokens at which a token counts half."""


def token_salience(tokenizer: Tokenizer, texts: Iterable[str], vocabulary: int) -> Tensor:
    """float32 [V]: how much each token counts in a mean, a / (a + p) with p its share of the tokens of
    `texts` and a = `COMMON` (Arora et al. 2017, "A simple but tough-to-beat baseline for sentence
    embeddings").
    """
    counts = torch.full((vocabulary,), 0.5)
    for text in texts:
        ids = torch.tensor(tokenizer.encode(text), dtype=torch.long)
        counts.index_add_(0, ids, torch.ones(len(ids)))
    return COMMON / (COMMON + counts / counts.sum())


def passage_features(
    engine: Engine,
    texts: Sequence[str],
    layers: Sequence[int],
    salience: Tensor | None = None,
    label: str = "passages",
) -> Tensor:
    """float32 [N, len(layers), d]: each text's mean hidden state after these layers, in one stream, its
    tokens weighed by `salience` [V] (None: all the same).
    """
    assert engine.tokenizer is not None
    separator = engine.tokenizer.separator_id
    out = torch.zeros(len(texts), len(layers), engine.config.hidden_size)
    counts = torch.zeros(len(texts), 1, 1)
    ids: list[int] = []
    owners: list[int] = []
    state, progress = engine.new_state(), Progress(label, len(texts), "passages")

    def flush() -> None:
        piece, owner = torch.tensor(ids[:STREAM_CHUNK]), torch.tensor(owners[:STREAM_CHUNK])
        inside = (owner >= 0).nonzero().flatten()
        weights = _weights(piece[inside], salience)

        def tap(layer: int, hidden: Tensor) -> None:
            if layer in layers:
                out[:, layers.index(layer)].index_add_(0, owner[inside], hidden[inside] * weights[:, None])

        with torch.inference_mode():
            engine.decoder.forward(piece, state, stop=max(layers), tap=tap)
        counts.index_add_(0, owner[inside], weights[:, None, None])
        del ids[:STREAM_CHUNK], owners[:STREAM_CHUNK]

    for number, text in enumerate(texts):
        tokens = engine.tokenizer.encode(text)
        ids += [separator, *tokens]
        owners += [-1] + [number] * len(tokens)
        while len(ids) >= STREAM_CHUNK:
            flush()
        progress.add(1)
    if ids:
        flush()
    progress.close()
    return out / counts.clamp(min=NOTHING)


def question_features(
    engine: Engine, questions: Sequence[str], layers: Sequence[int], salience: Tensor | None = None
) -> Tensor:
    """float32 [N, len(layers), d]: each question read alone after a separator, as `Engine.encode_query`
    does.
    """
    assert engine.tokenizer is not None
    out = torch.zeros(len(questions), len(layers), engine.config.hidden_size)
    for number, text in enumerate(questions):
        ids = torch.tensor([engine.tokenizer.separator_id, *engine.tokenizer.encode(text)])
        shares = _weights(ids[1:], salience)
        shares /= shares.sum().clamp(min=NOTHING)

        def tap(layer: int, hidden: Tensor, number: int = number, shares: Tensor = shares) -> None:
            if layer in layers:
                out[number, layers.index(layer)] = shares @ hidden[1:]

        with torch.inference_mode():
            engine.decoder.forward(ids, engine.new_state(), stop=max(layers), tap=tap)
    return out


def _weights(ids: Tensor, salience: Tensor | None) -> Tensor:
    return torch.ones(len(ids)) if salience is None else salience[ids]
