"""Tokenizers of checkpoint folders in two files, as Qwen's: the ids of Hugging Face transformers."""

import json
import shutil
from pathlib import Path

import pytest
from golden import DATA
from tokenizer_files import LINES, SPECIAL, train_backend
from transformers import Qwen2Tokenizer

from engine import Engine
from engine.errors import ModelError
from engine.tokenizer import Tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small vocabulary with its added tokens after it, as in Qwen's checkpoints."""
    model = json.loads(train_backend().to_str())["model"]
    plain = [
        token for token in sorted(model["vocab"], key=model["vocab"].__getitem__) if token not in SPECIAL
    ]
    vocab = {token: index for index, token in enumerate(plain)}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), "utf-8")
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", "utf-8")
    added = {str(len(vocab) + i): {"content": token, "special": i < 2} for i, token in enumerate(SPECIAL)}
    config = {"eos_token": "<|im_end|>", "bos_token": None, "added_tokens_decoder": added}
    config["chat_template"] = "{{ messages }}"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return tmp_path


def test_ids_equal_those_of_transformers(folder: Path) -> None:
    ours = Tokenizer.load(folder)
    vocab = json.loads((folder / "vocab.json").read_text("utf-8"))
    lines = (folder / "merges.txt").read_text("utf-8").splitlines()[1:]
    peer = Qwen2Tokenizer(vocab=vocab, merges=[tuple(line.split(" ")) for line in lines])
    for text in (*LINES, "cafe\u0301 12345  x\r\n\r\n  y", "they're 9's", ""):
        assert ours.encode(text) == peer.encode(text, add_special_tokens=False)
    assert ours.decode(ours.encode(LINES[1])) == LINES[1]
    assert (ours.separator_id, ours.im_start_id, ours.eos_id) == (len(vocab), len(vocab) + 1, len(vocab) + 2)
    assert ours.bos_id is None
    assert ours.chat_template == "{{ messages }}"
    assert ours.im_start_id not in ours.encode("<|im_start|>")


def test_a_checkpoint_takes_its_tokenizer_in_one_file_or_two(folder: Path, tmp_path: Path) -> None:
    single = tmp_path / "single"
    Tokenizer.load(folder).save(single)
    assert not (single / "vocab.json").exists()
    engines = []
    for place in (folder, single):
        for name in ("config.json", "model.safetensors"):
            shutil.copy(DATA / "gla_swa_tiny" / name, place)
        engines.append(Engine.load(place))
    for text in LINES:
        ids = engines[0].tokenizer.encode(text)
        assert ids == engines[1].tokenizer.encode(text)
        assert engines[1].tokenizer.decode(ids) == text
    assert {engine.tokenizer.chat_template for engine in engines} == {"{{ messages }}"}
    assert {engine.tokenizer.eos_id for engine in engines} == {engines[0].tokenizer.im_end_id}


def test_added_tokens_may_come_in_a_file_of_their_own(folder: Path) -> None:
    before = Tokenizer.load(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    added = {spec["content"]: int(index) for index, spec in config.pop("added_tokens_decoder").items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    (folder / "added_tokens.json").write_text(json.dumps(added), "utf-8")
    assert Tokenizer.load(folder).eos_id == before.eos_id == max(added.values())


def test_files_that_do_not_fit_are_named(folder: Path) -> None:
    vocab = json.loads((folder / "vocab.json").read_text("utf-8"))
    (folder / "vocab.json").write_text(json.dumps(vocab | {"more": len(vocab)}), "utf-8")
    with pytest.raises(ModelError, match=r"endoftext.*should have id"):
        Tokenizer.load(folder)
    (folder / "merges.txt").write_text("not-a token\n", "utf-8")
    with pytest.raises(ModelError, match=r"merges\.txt"):
        Tokenizer.load(folder)
    (folder / "vocab.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match=r"vocab\.json"):
        Tokenizer.load(folder)
