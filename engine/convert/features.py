"""Mean hidden states of passages inside one long stream, and of questions read alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.convert.progress import Progress
from engine.engine import Engine

STREAM_CHUNK = 1024


def passage_features(
    engine: Engine, texts: Sequence[str], layers: Sequence[int], label: str = "passages"
) -> Tensor:
    """float32 [N, len(layers), d]: each text's mean hidden state after these layers, in one stream."""
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

        def tap(layer: int, hidden: Tensor) -> None:
            if layer in layers:
                out[:, layers.index(layer)].index_add_(0, owner[inside], hidden[inside])

        with torch.inference_mode():
            engine.decoder.forward(piece, state, stop=max(layers), tap=tap)
        counts.index_add_(0, owner[inside], torch.ones(len(inside), 1, 1))
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
    return out / counts.clamp(min=1)


def question_features(engine: Engine, questions: Sequence[str], layers: Sequence[int]) -> Tensor:
    """float32 [N, len(layers), d]: each question read alone after a separator, as `Engine.encode_query`
    does.
    """
    assert engine.tokenizer is not None
    out = torch.zeros(len(questions), len(layers), engine.config.hidden_size)
    for number, text in enumerate(questions):
        ids = torch.tensor([engine.tokenizer.separator_id, *engine.tokenizer.encode(text)])

        def tap(layer: int, hidden: Tensor, number: int = number) -> None:
            if layer in layers:
                out[number, layers.index(layer)] = hidden[1:].mean(dim=0)

        with torch.inference_mode():
            engine.decoder.forward(ids, engine.new_state(), stop=max(layers), tap=tap)
    return out
