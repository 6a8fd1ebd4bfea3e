"""Long texts: tokenised in pieces, the ids and offsets are those of the whole."""

import random
import tracemalloc
from itertools import pairwise

import pytest
from tokenizer_files import train_backend
from tokenizers import normalizers

from engine import segments
from engine.gguf_vocab import byte_level_bpe
from engine.tokenizer import Tokenizer

ALPHABET = (
    *("the ", " of", "Hello", "'s", "'re", "'", " '", "'ll", "1", "23", " 4", "½", "٣"),
    *("  ", " " * 9, "\n", "\n\n", " \n ", "\t", "\r\n", "\u00a0", "\u3000", "\u200b", "\x04", "\x85"),
    *(
        "é",
        "e\u0301",
        "\u0301",
        "日本語",
        "中",
        "。",
        "한국어",
        "नमस्ते",
        "Ω",
        "😀",
        "👩\u200d👧",
        "\U00040000",
    ),
    *("!", "...", "—", "<|im_end|>"),
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(train_backend(), "<|im_start|>", "<|im_end|>", None)


def random_text(seed: int, longest: int = 60) -> str:
    chance = random.Random(seed)
    return "".join(chance.choices(ALPHABET, k=chance.randint(0, longest)))


def in_segments(tokenizer: Tokenizer, text: str, size: int) -> tuple[list[int], list[tuple[int, int]]]:
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    for segment in tokenizer.iter_encode(text, size):
        ids += segment.ids.tolist()
        spans += zip(segment.starts.tolist(), segment.ends.tolist(), strict=True)
    return ids, spans


@pytest.mark.parametrize("normalizer", [None, normalizers.NFC()], ids=["plain", "nfc"])
@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "qwen2", "llama-bpe"])
def test_ids_do_not_depend_on_segments(pre: str, normalizer: normalizers.Normalizer | None) -> None:
    trained = train_backend()
    backend = byte_level_bpe({}, [], [], pre)
    backend.model = trained.model
    backend.normalizer = normalizer
    tokenizer = Tokenizer(backend, None, None, None)
    for seed in range(150):
        text = random_text(seed)
        whole = backend.encode(text, add_special_tokens=False).ids
        for size in (1, 3, 9, 30):
            assert in_segments(tokenizer, text, size)[0] == whole, (seed, size)


def test_offsets_tile_the_text_and_do_not_depend_on_segments(tokenizer: Tokenizer) -> None:
    for seed in range(200):
        text = random_text(seed)
        ids, offsets = tokenizer.encode_with_offsets(text)
        spans = list(offsets)
        if not ids:
            continue
        assert spans[0][0] == 0
        assert spans[-1][1] == len(text)
        for (start, end), (next_start, next_end) in pairwise(spans):
            shared = next_start < end
            assert next_start == (end - 1 if shared else end), (seed, spans)
            assert next_start >= start
            assert next_end >= end
        for size in (1, 5, 16):
            assert in_segments(tokenizer, text, size) == (ids, spans), (seed, size)


def test_each_span_holds_what_its_token_decodes_to(tokenizer: Tokenizer) -> None:
    text = "They'll say 40 mg is fine.\n\n  Either party — 日本語の文章です。 the end"
    ids, offsets = tokenizer.encode_with_offsets(text)
    for index, (start, end) in zip(ids, offsets, strict=True):
        decoded = tokenizer.decode([index])
        assert decoded == text[start:end] or "\ufffd" in decoded


@pytest.mark.parametrize("unit", ["the thing ", "日本語の文章です。", "1", "it's,"])
def test_long_text_comes_in_many_segments(tokenizer: Tokenizer, unit: str) -> None:
    text = unit * (24_000 // len(unit))
    whole = tokenizer._backend.encode(text, add_special_tokens=False).ids
    pieces = list(tokenizer.iter_encode(text, 4_000))
    assert len(pieces) >= 6
    assert [index for piece in pieces for index in piece.ids.tolist()] == whole


def test_long_text_is_cut_without_being_asked(tokenizer: Tokenizer) -> None:
    text = "the thing " * 15_000
    assert len(list(tokenizer.iter_encode(text))) == 3
    assert tokenizer.encode(text) == tokenizer._backend.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("unit", ["a", " ", "中"])
def test_run_without_any_boundary_is_cut_and_still_tiles(
    tokenizer: Tokenizer, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MAX_WORD_CHARS", 4_000)
    text = unit * 30_000
    pieces = list(tokenizer.iter_encode(text, 1_000))
    assert max(int(piece.ends[-1] - piece.starts[0]) for piece in pieces) <= 4_000
    assert tokenizer.decode([index for piece in pieces for index in piece.ids.tolist()]) == text
    assert pieces[-1].ends[-1] == len(text)


def test_memory_follows_the_segment_not_the_text(tokenizer: Tokenizer) -> None:
    text = "The patient received 40 mg. " * 20_000  # 560 kB in one line
    tracemalloc.start()
    tokens = sum(len(segment.ids) for segment in tokenizer.iter_encode(text, 4_096))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tokens > 150_000
    assert peak < 600_000


def test_other_kinds_of_tokenizer_are_not_cut() -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers

    backend = Backend(models.WordLevel({"one": 0, "two": 1, "?": 2}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = Tokenizer(backend, None, None, None)
    ids, offsets = tokenizer.encode_with_offsets("one  two one")
    assert ids == [0, 1, 0]
    assert list(offsets) == [(0, 3), (3, 8), (8, 12)]
    assert len(list(tokenizer.iter_encode("one two " * 10, 4))) == 1
