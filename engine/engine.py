"""The facade: load a model, read, generate, and say what it cost."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from engine.abreast import Abreast
from engine.checkpoint import open_checkpoint
from engine.coding import Coder, DenseCoder, SpikeCoder
from engine.config import ModelConfig, parse_config, with_threshold
from engine.decoder import Decoder
from engine.errors import ModelError
from engine.families import FAMILIES
from engine.host import compute_dtype
from engine.passages import PassageCoder, question_code
from engine.placement import Placement, automatic, device_dtype, place
from engine.ranking import load_ranking
from engine.runs import ReadProgress, RunStats, run_stats
from engine.state import ContextState
from engine.stepping import aligned_chunks, choose
from engine.tally import SpikeTally
from engine.tokenizer import Tokenizer
from engine.w8aspike import W8ASpikeCoder
from engine.weights import ModelWeights, moved

NUMERICS = "1"
"""Raised whenever the arithmetic changes results: old states are then refused."""


def fingerprint_of(identity: str, spiking: bool, dtype: torch.dtype) -> str:
    """What states are refused by: the checkpoint's identity and the numerics it is computed with."""
    return hashlib.sha256(f"{identity}:{NUMERICS}:{spiking}:{dtype}".encode()).hexdigest()


class Engine(Abreast):
    """One loaded model. Make it with `Engine.load`; sequence memory lives in `ContextState` alone."""

    def __init__(
        self, config: ModelConfig, weights: ModelWeights, tokenizer: Tokenizer | None, identity: str,
        spiking: bool, dtype: torch.dtype, placement: Placement,
    ) -> None:  # fmt: skip
        self.config = config
        self.tokenizer = tokenizer
        self.spiking = spiking
        self.device = str(placement.device)
        self.last_run: RunStats | None = None
        self._tally = SpikeTally()
        self.placement = placement
        coder: Coder = DenseCoder(dtype, placement.ops)
        if spiking and config.spike is not None:
            kind = W8ASpikeCoder if config.spike.w8aspike else SpikeCoder
            coder = kind(config.spike.k, self._tally, placement.ops)
            if placement.ops.layers is not None and not config.spike.w8aspike:
                weights = weights.arranged(placement.ops.layers.arrange)
        weights = moved(weights, placement.device)
        self.decoder = Decoder(config, weights, coder, dtype, placement.segment)
        self.fingerprint = fingerprint_of(identity, spiking, dtype)

    @classmethod
    def load(
        cls,
        model: str | Path = "default",
        device: str = "auto",
        spiking: bool | str = "auto",
        models_dir: str | Path | None = None,
        dtype: str = "auto",
        spike_k: float | None = None,
        kernels: str = "auto",
    ) -> "Engine":
        """Load "default" (from `models_dir`), a checkpoint folder or a GGUF file.

        `spiking` "auto": on where the weights are made for it. `dtype` "auto": bfloat16 for our own and
        for checkpoints of a billion parameters where the processor has it, else float32; bfloat16 on
        accelerators. `spike_k`: another threshold factor than the model's own, which makes it another model.
        `device`, `kernels`: see `placement.place`. Raises ModelError, DeviceError.
        """
        device = automatic() if device == "auto" else device
        checkpoint = open_checkpoint(model, models_dir)
        config = parse_config(checkpoint.raw)
        source = checkpoint.open_tensors()
        if source.quantised:
            config = parse_config(checkpoint.raw, quantised=True)
        use_spikes = config.spike is not None if spiking == "auto" else bool(spiking)
        kind = compute_dtype(dtype if device == "cpu" else device_dtype(dtype), config)
        placement = place(device, kind, kernels)
        weights = FAMILIES[config.model_type].load(source, config, use_spikes, kind)
        weights = replace(weights, ranking=load_ranking(checkpoint.path, config))
        source.finish()
        tokenizer = checkpoint.load_tokenizer()
        config, changed = with_threshold(config, spike_k if use_spikes else None)
        identity = checkpoint.identity(source.files, tokenizer) + changed
        return cls(config, weights, tokenizer, identity, use_spikes, kind, placement)

    @property
    def backend(self) -> str:
        """What computes, for people."""
        kind = str(self.decoder.cache_dtype).removeprefix("torch.")
        path = "INT8 spike counts" if self.spiking else f"dense {kind}"
        return f"{path}, {self.placement.describe()}"

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        return self.decoder.weights.nbytes()

    @property
    def code_bits(self) -> int:
        """Bits of a recall code; 0 if the model has no recall head."""
        recall = self.decoder.weights.recall
        return 0 if recall is None else recall.projection.shape[0]

    def new_state(self) -> ContextState:
        """A state that has read nothing."""
        return self.decoder.new_state(self.fingerprint)

    def logits(self, ids: Sequence[int], state: ContextState | None = None) -> Tensor:
        """Teacher-forced logits float32 [T, V] of `ids` (on the CPU); continues, advances a `state` given."""
        return self.next_logits(self.hidden(ids, state))

    def hidden(self, ids: Sequence[int], state: ContextState | None = None) -> Tensor:
        """Residual stream before the final norm, float32 [T, d]; continues, advances `state` if given."""
        state = self.new_state() if state is None else self._own(state)
        started = self._begin()
        parts = []
        with torch.inference_mode():
            for chunk in self._chunks(ids, state.tokens_read):
                part = self.decoder.forward(self._ids(chunk), state)
                assert part is not None
                parts.append(part)
        self._end(sum(map(len, parts)), started, state)
        return torch.cat(parts or [self.decoder.embed(self._ids([]))])

    def next_logits(self, hidden: Tensor) -> Tensor:
        """Logits [T, V] (on the CPU) of rows of `hidden` [T, d]."""
        with torch.inference_mode():
            return self.decoder.logits(hidden).cpu()

    def read(
        self,
        ids: Iterable[int],
        state: ContextState,
        passage_ends: Iterable[int] | None = None,
        chunk: int | None = None,
    ) -> Iterator[ReadProgress]:
        """Stream `ids` into `state` with constant memory, yielding after each chunk; the state is consistent
        then.

        `passage_ends`: ascending positions in the whole context (in `state.tokens_read` counting) at which
        passages end; their recall codes come with the progress. Close the generator to stop between chunks.
        """
        state = self._own(state)
        recall = self.decoder.weights.recall
        if passage_ends is not None and recall is None:
            raise ModelError(
                "this model has no recall head, so passages cannot be coded", "Read without passages."
            )
        separator = self.tokenizer.separator_id if self.tokenizer is not None else None
        coder = (
            None
            if recall is None or passage_ends is None
            else PassageCoder(recall, state, passage_ends, separator)
        )
        started, done = self._begin(), 0
        for piece in self._chunks(ids, state.tokens_read, chunk):
            tensor = self._ids(piece)
            if coder is not None:
                coder.begin(tensor)
            with torch.inference_mode():
                self.decoder.forward(
                    tensor, state, tap=coder.tap if coder is not None else None, output=False
                )
            done += len(piece)
            self._end(done, started, state)
            codes = tuple(coder.codes) if coder is not None else ()
            yield ReadProgress(state.tokens_read, done, time.perf_counter() - started, codes)

    def generate(
        self,
        prompt_ids: Sequence[int],
        state: ContextState | None = None,
        max_new_tokens: int = 128,
        temperature: float = 0.0,
        seed: int | None = None,
        stop_ids: Iterable[int] | None = None,
        dense: bool = False,
    ) -> Iterator[int]:
        """Read `prompt_ids` into `state`, then yield new tokens until a stop token (not yielded; default:
        end of text). `temperature` 0 is greedy.
        Tokens yielded have been read into the state, except the last. `dense`: they see every block of a
        memory by blocks, as in the released SpikingBrain-2.0 code, not the chosen ones.
        """
        state = self.new_state() if state is None else self._own(state)
        stops = self._stops(stop_ids)
        generator = torch.Generator().manual_seed(seed) if seed is not None else None
        hidden = self.hidden(prompt_ids, state)
        if not len(hidden):
            raise ValueError("generate needs at least one prompt token")
        started = self._begin()
        for produced in range(max_new_tokens):
            token = choose(self.next_logits(hidden[-1:])[0], temperature, generator)
            self._end(produced + 1, started, state)
            if token in stops:
                return
            yield token
            if produced + 1 < max_new_tokens:
                with torch.inference_mode():
                    out = self.decoder.forward(self._ids([token]), state, dense=dense)
                assert out is not None
                hidden = out

    def encode_query(self, text: str) -> bytes:
        """Recall code of a question (bits / 8 bytes), read on its own."""
        recall = self.decoder.weights.recall
        if recall is None or self.tokenizer is None:
            raise ModelError("this model has no recall head or no tokenizer, so questions cannot be coded")
        separator = self.tokenizer.separator_id
        ids = map(self._ids, self._chunks([separator, *self.tokenizer.encode(text)], 0))
        return question_code(self.decoder, recall, ids, self.new_state(), separator)

    def _own(self, state: ContextState) -> ContextState:
        if state.fingerprint != self.fingerprint:
            raise ModelError(
                "this state belongs to another model", "Load the model that wrote it.", "state_other_model"
            )
        return state

    def _ids(self, ids: Sequence[int]) -> Tensor:
        tensor = torch.as_tensor(ids, dtype=torch.int64)
        if len(tensor) and (int(tensor.min()) < 0 or int(tensor.max()) >= self.config.vocab_size):
            raise ValueError(f"token ids must lie in 0..{self.config.vocab_size - 1}")
        return tensor.to(self.decoder.device)

    def _chunks(self, ids: Iterable[int], position: int, size: int | None = None) -> Iterator[list[int]]:
        return aligned_chunks(ids, position, size, self.placement.segment)

    def _stops(self, stop_ids: Iterable[int] | None) -> frozenset[int]:
        if stop_ids is not None:
            return frozenset(stop_ids)
        if self.tokenizer is None:
            return frozenset()
        ends = (self.tokenizer.eos_id, self.tokenizer.im_end_id, self.tokenizer.separator_id)
        return frozenset(i for i in ends if i is not None)

    def _begin(self) -> float:
        self._tally.clear()
        return time.perf_counter()

    def _end(self, tokens: int, started: float, state: ContextState | None = None) -> None:
        nbytes = 0 if state is None else state.nbytes
        self.last_run = run_stats(tokens, time.perf_counter() - started, nbytes, self._tally)
