"""Text to token ids and back, with character offsets, at any length of text. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer as Backend

from engine.errors import ModelError
from engine.gguf_vocab import read_gguf_vocab
from engine.segments import SEGMENT_CHARS, IntArray, Offsets, Segment, Segmenter, encodable
from engine.tokenizer_files import content, read_backend, read_json, write_whole
from engine.vocab_files import has_vocab_files, read_vocab_files

if TYPE_CHECKING:
    from gguf import GGUFReader

    from engine.chat import Piece


class Tokenizer:
    """Encodes documents as data (no text becomes a control token) and prompts that we build ourselves.

    Ids equal those of encoding the whole text in one call; long texts are cut at pre-token boundaries, so
    memory follows the segment, not the text. Offsets are character offsets that tile the text: each token
    starts where the one before ended, save that tokens sharing one character's bytes all span that character.
    """

    def __init__(self, backend: Backend, bos: str | None, eos: str | None, chat_template: str | None) -> None:
        added = backend.get_added_tokens_decoder()
        self.special_ids = frozenset(index for index, token in added.items() if token.special)
        self._backend = backend = _all_special(backend)
        self._segmenter = Segmenter(backend)
        self._byte_lengths = _byte_lengths(backend)
        names = sorted((token.content for token in added.values()), key=len, reverse=True)
        self._added = re.compile("(" + "|".join(map(re.escape, names)) + ")") if names else None
        self._names = {"bos_token": bos, "eos_token": eos}
        self.chat_template = chat_template
        self.bos_id = self.token_id(bos)
        self.eos_id = self.token_id(eos)
        self.im_start_id = self.token_id("<|im_start|>")
        self.im_end_id = self.token_id("<|im_end|>")

    @classmethod
    def load(cls, folder: str | Path) -> Tokenizer:
        """Read tokenizer.json, or vocab.json and merges.txt; where present, tokenizer_config.json and
        chat_template.jinja.
        """
        from engine.chat import chosen_template

        folder = Path(folder)
        config = read_json(folder / "tokenizer_config.json")
        jinja = folder / "chat_template.jinja"
        template = jinja.read_text("utf-8") if jinja.is_file() else config.get("chat_template")
        bos, eos = (content(config.get(name)) for name in ("bos_token", "eos_token"))
        if not (folder / "tokenizer.json").is_file() and has_vocab_files(folder):
            backend = read_vocab_files(folder, config)
        else:
            backend = read_backend(folder / "tokenizer.json")
        return cls(backend, bos, eos, chosen_template(template))

    @classmethod
    def from_gguf(cls, source: str | Path | GGUFReader) -> Tokenizer:
        """Build the tokenizer from the vocabulary, merges and pre-tokeniser name of a GGUF file."""
        vocab = read_gguf_vocab(source)
        return cls(vocab.backend, vocab.bos, vocab.eos, vocab.chat_template)

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, each replaced in one step."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **self._names,
            "chat_template": self.chat_template,
        }
        present = {key: value for key, value in config.items() if value is not None}
        write_whole(folder / "tokenizer.json", self._backend.to_str())
        write_whole(folder / "tokenizer_config.json", json.dumps(present, ensure_ascii=False, indent=2))

    @property
    def vocab_size(self) -> int:
        """Number of ids, control tokens included (a model's embedding may be padded beyond it)."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    @property
    def separator_id(self) -> int:
        """The id that stands between two documents: <|endoftext|>, else the end or begin token."""
        for index in (self.token_id("<|endoftext|>"), self.eos_id, self.bos_id):
            if index is not None:
                return index
        raise ModelError(
            "This tokenizer names no token to put between documents.",
            "Name an eos_token in the model's tokenizer_config.json.",
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides ids."""
        return hashlib.sha256(self._backend.to_str().encode()).hexdigest()

    def token_id(self, token: str | None) -> int | None:
        """The id of a token by its name, None where the vocabulary has no such token."""
        return None if token is None else self._backend.token_to_id(token)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Ids of `text`, nothing added. Names such as <|im_end|> become control ids if `allow_special`."""
        if not allow_special or self._added is None:
            spans = self._segmenter.spans(text)
            return [index for start, end in spans for index in self._run(encodable(text[start:end])).ids]
        ids: list[int] = []
        for number, part in enumerate(self._added.split(text)):
            control = self._backend.token_to_id(part) if number % 2 else None
            ids.extend(self.encode(part) if control is None else [control])
        return ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], Offsets]:
        """Ids of `text` and the character span of each; see `Offsets` (int64 arrays `.starts`, `.ends`)."""
        segments = list(self.iter_encode(text))
        if not segments:
            return [], Offsets(np.empty(0, np.int64), np.empty(0, np.int64))
        ids, starts, ends = (np.concatenate(arrays) for arrays in zip(*segments, strict=True))
        return ids.tolist(), Offsets(starts, ends)

    def iter_encode(self, text: str, segment_chars: int = SEGMENT_CHARS) -> Iterator[Segment]:
        """As `encode_with_offsets`, segment by segment, in memory that does not grow with the text."""
        held: Segment | None = None
        for start, end in self._segmenter.spans(text, segment_chars):
            segment = self._encode_span(text[start:end], start)
            if not len(segment.ids):
                continue
            # Bytes outside the vocabulary (SmolLM2 lacks some control characters) give no token: close gaps.
            segment.starts[0] = held.ends[-1] if held else 0
            np.minimum(segment.starts[1:], segment.ends[:-1], out=segment.starts[1:])
            if held:
                yield held
            held = segment
        if held:
            held.ends[-1] = len(text)
            yield held

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """The text of `ids`; bytes that form no whole character become U+FFFD."""
        hidden = self.special_ids if skip_special else frozenset()
        kept = [index for index in map(int, ids) if index not in hidden]
        return self._backend.decode(kept, skip_special_tokens=False)

    def chat_prompt(
        self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> list[int]:
        """Ids of messages {"role", "content"} by the model's chat template, else as ChatML or plain text;
        contents are data and cannot end their own message.
        """
        return self._join(self._chat(messages, add_generation_prompt))

    def chat_frame(self, system: str) -> tuple[list[int], list[int]]:
        """Ids of a prompt before and after the words of its user, for prompts that are cut to a budget."""
        pieces = self._chat([{"role": "system", "content": system}, {"role": "user", "content": "?"}], True)
        at = max(i for i, (_, trusted) in enumerate(pieces) if not trusted)
        return self._join([*pieces[:at], (pieces[at][0][:-1], False)]), self._join(pieces[at + 1 :])

    def _chat(self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool) -> list[Piece]:
        from engine.chat import CHATML, PLAIN, render_chat

        usual = PLAIN if self.im_start_id is None or self.im_end_id is None else CHATML
        return render_chat(self.chat_template or usual, messages, self._names, add_generation_prompt)

    def _join(self, pieces: Sequence[Piece]) -> list[int]:
        """Ids of pieces in a row: control tokens out of trusted text only, all between them as one text."""
        runs: list[str | int] = [""]
        for text, trusted in pieces:
            parts = self._added.split(text) if trusted and self._added is not None else [text]
            for number, part in enumerate(parts):
                control = self._backend.token_to_id(part) if number % 2 else None
                if control is not None:
                    runs += [control, ""]
                else:
                    runs[-1] = f"{runs[-1]}{part}"
        return [i for run in runs for i in ([run] if isinstance(run, int) else self.encode(run))]

    def _run(self, text: str) -> Any:
        return self._backend.encode(text, add_special_tokens=False)

    def _encode_span(self, text: str, start: int) -> Segment:
        text = encodable(text)
        encoding = self._run(text)
        ids = np.array(encoding.ids, np.int64)
        data = np.frombuffer(text.encode(), np.uint8)
        byte_ends = np.cumsum(self._byte_lengths[ids])
        if not self._segmenter.keeps_bytes or not len(ids) or byte_ends[-1] != len(data):
            spans = np.array(encoding.offsets, np.int64).reshape(-1, 2) + start
            return Segment(ids, spans[:, 0].copy(), spans[:, 1].copy())
        # Each token is a run of bytes; each byte belongs to a character (continuation bytes are 10xxxxxx).
        character = np.cumsum((data & 0xC0) != 0x80, dtype=np.int64) + (start - 1)
        starts = character[byte_ends - self._byte_lengths[ids]]
        return Segment(ids, starts, character[byte_ends - 1] + 1)


def _all_special(backend: Backend) -> Backend:
    """A tokenizer whose added tokens are all control tokens, so that no document can spell one."""
    backend.no_truncation()
    backend.no_padding()
    if any(not token.special for token in backend.get_added_tokens_decoder().values()):
        spec = json.loads(backend.to_str())
        spec["added_tokens"] = [{**token, "special": True} for token in spec["added_tokens"]]
        backend = Backend.from_str(json.dumps(spec))
    backend.encode_special_tokens = True
    return backend


def _byte_lengths(backend: Backend) -> IntArray:
    """Bytes each id stands for in a byte-level vocabulary, where every character of a token is one byte."""
    vocab = backend.get_vocab(with_added_tokens=True)
    lengths = np.zeros(max(vocab.values(), default=-1) + 1, np.int64)
    for token, index in vocab.items():
        lengths[index] = len(token)
    return lengths
