"""Tokenizers out of GGUF files."""

from pathlib import Path

import pytest
from gguf import GGUFReader
from tokenizer_files import CHAT_TEMPLATE, LINES, train_backend, write_gguf

from engine.errors import ModelError
from engine.tokenizer import Tokenizer


def test_tokenizer_from_gguf_gives_the_same_ids(tmp_path: Path) -> None:
    backend = train_backend()
    tokenizer = Tokenizer.from_gguf(write_gguf(tmp_path / "model.gguf", backend))
    for line in (*LINES, "a   b    12345  x", "they're 9's"):
        assert tokenizer.encode(line) == backend.encode(line).ids
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.separator_id) == (1, 2, 0)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer.special_ids == {0, 1, 2}


def test_open_reader_serves_as_well_as_a_path(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf", train_backend())
    assert Tokenizer.from_gguf(GGUFReader(path)).fingerprint == Tokenizer.from_gguf(path).fingerprint


def test_blanks_before_a_digit_follow_the_named_pre_tokeniser(tmp_path: Path) -> None:
    backend = train_backend()
    smollm = Tokenizer.from_gguf(write_gguf(tmp_path / "a.gguf", backend))
    gpt2 = Tokenizer.from_gguf(write_gguf(tmp_path / "b.gguf", backend, pre="gpt-2"))
    assert smollm.encode("fine  7") != gpt2.encode("fine  7")


@pytest.mark.parametrize(
    ("change", "word"), [({"model": "llama"}, "'llama'"), ({"pre": "tekken"}, "'tekken'")]
)
def test_unknown_kind_is_refused_by_name(tmp_path: Path, change: dict[str, str], word: str) -> None:
    path = write_gguf(tmp_path / "model.gguf", train_backend(), **change)
    with pytest.raises(ModelError, match=word) as caught:
        Tokenizer.from_gguf(path)
    assert caught.value.hint


@pytest.mark.parametrize("content", [None, b"", b"GGUF", b"not a gguf file, but long enough to look at"])
def test_missing_or_damaged_file_is_a_model_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.gguf"):
        Tokenizer.from_gguf(path)
