"""Long texts in pieces: where to cut so that the tokens stay those of the whole, and the spans of tokens."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

IntArray = NDArray[np.int64]

SEGMENT_CHARS = 65_536
# A longer run without space, digit or punctuation is cut anyway: merging it whole
# would take memory in proportion to its length, and such a run is not language.
MAX_WORD_CHARS = 262_144

# No pre-token holds a space after a non-space, so this place is a boundary under every byte-level pattern.
_BEFORE_SPACE = re.compile(r"(?s:.*)\S(?= )")
# The last pre-tokens of a window may look different once the text goes on (a contraction, a run of blanks).
_UNSETTLED = 4
_SURROGATES = re.compile("[\ud800-\udfff]")


class Segment(NamedTuple):
    """Tokens of one stretch of text: ids and character spans (start, end) in the whole text, int64 arrays."""

    ids: IntArray
    starts: IntArray
    ends: IntArray


class Offsets(Sequence[tuple[int, int]]):
    """Character spans of tokens: reads like a list of (start, end), held as two int64 arrays.

    `offsets[i]` is a tuple, `offsets[a:b]` is Offsets; `.starts` and `.ends` give the arrays.
    """

    __slots__ = ("ends", "starts")

    def __init__(self, starts: IntArray, ends: IntArray) -> None:
        self.starts = starts
        self.ends = ends

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, index: slice) -> Offsets: ...
    def __getitem__(self, index: int | slice) -> tuple[int, int] | Offsets:
        if isinstance(index, slice):
            return Offsets(self.starts[index], self.ends[index])
        return int(self.starts[index]), int(self.ends[index])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.starts.tolist(), self.ends.tolist(), strict=True)

    def __repr__(self) -> str:
        return f"Offsets({len(self)} tokens, characters 0 to {int(self.ends[-1]) if len(self) else 0})"


class Segmenter:
    """Cuts text at boundaries of the tokenizer's own pre-tokeniser."""

    def __init__(self, backend: Tokenizer) -> None:
        self._backend = backend
        normalizer = _spec(backend.normalizer).get("type")
        byte_level = _is_byte_level(_spec(backend.pre_tokenizer))
        self._normalizes = normalizer is not None
        self._cuttable = byte_level and normalizer in (None, "NFC")
        self.keeps_bytes = byte_level and not self._normalizes  # tokens are runs of the text's own bytes

    def spans(self, text: str, size: int = SEGMENT_CHARS) -> Iterator[tuple[int, int]]:
        """Consecutive (start, end) spans of about `size` characters that cover `text`."""
        start = 0
        while start < len(text):
            end = self._next_cut(text, start, size) if self._cuttable else len(text)
            yield start, end
            start = end

    def _next_cut(self, text: str, start: int, size: int) -> int:
        while start + size < len(text):
            cut = self._cut_within(text, start, start + size)
            if cut is not None:
                return cut
            if size >= MAX_WORD_CHARS:
                return start + size
            size = min(size * 2, MAX_WORD_CHARS)
        return len(text)

    def _cut_within(self, text: str, start: int, end: int) -> int | None:
        before_space = _BEFORE_SPACE.match(text, start, end)
        if before_space is not None:
            return before_space.end()
        window = encodable(text[start:end])
        # Composition would change what the pre-tokeniser sees here; stored text is composed already.
        if self._normalizes and not unicodedata.is_normalized("NFC", window):
            return None
        assert self._backend.pre_tokenizer is not None
        pieces = self._backend.pre_tokenizer.pre_tokenize_str(window)
        for _, (_, stop) in reversed(pieces[:-_UNSETTLED]):
            # After a blank the pattern's look-ahead would see the end of the text instead of what follows.
            if not window[stop - 1].isspace():
                return start + stop
        return None


def encodable(text: str) -> str:
    """The text with lone surrogates, which have no UTF-8 form, replaced one for one by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def _spec(component: Any) -> dict[str, Any]:
    """The JSON description that a component of the `tokenizers` library pickles itself as."""
    return {} if component is None else json.loads(component.__getstate__())


def _is_byte_level(spec: dict[str, Any]) -> bool:
    last = (spec.get("pretokenizers") or [spec])[-1]
    return last.get("type") == "ByteLevel" and not last["add_prefix_space"]
