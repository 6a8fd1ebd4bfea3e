"""The tokenizer of a checkpoint folder with vocab.json and merges.txt but no tokenizer.json, as Qwen's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, normalizers

from engine.errors import ModelError
from engine.gguf_vocab import byte_level_bpe

VOCAB, MERGES, ADDED = "vocab.json", "merges.txt", "added_tokens.json"


def has_vocab_files(folder: Path) -> bool:
    """Whether the folder holds a vocabulary in two files."""
    return (folder / VOCAB).is_file() and (folder / MERGES).is_file()


def read_vocab_files(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    """Qwen's byte-level BPE; `config` is tokenizer_config.json, which lists the added tokens."""
    try:
        vocab = json.loads((folder / VOCAB).read_text("utf-8"))
        lines = (folder / MERGES).read_text("utf-8").splitlines()
        merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
        tokenizer = byte_level_bpe(vocab, [(left, right) for left, right in merges], [], "qwen2")
        added = _added_tokens(folder, config)
    except Exception as error:  # the library raises bare Exception for merges that name unknown tokens
        raise ModelError(
            f"{VOCAB} and {MERGES} in {folder} are not a vocabulary: {error}", "Download them again."
        ) from error
    tokenizer.normalizer = normalizers.NFC()
    for index, token in sorted(added.items()):
        tokenizer.add_tokens([token])
        if tokenizer.token_to_id(token.content) != index:
            raise ModelError(
                f"the added token {token.content!r} of {folder} should have id {index}, its place in {VOCAB} "
                f"gives {tokenizer.token_to_id(token.content)}",
                "Download the tokenizer files again.",
            )
    return tokenizer


def _added_tokens(folder: Path, config: Mapping[str, Any]) -> dict[int, AddedToken]:
    listed = config.get("added_tokens_decoder")
    if listed is not None:
        return {
            int(index): AddedToken(spec["content"], special=bool(spec.get("special")), normalized=False)
            for index, spec in listed.items()
        }
    if not (folder / ADDED).is_file():
        return {}
    names = json.loads((folder / ADDED).read_text("utf-8"))
    return {index: AddedToken(name, special=True, normalized=False) for name, index in names.items()}
