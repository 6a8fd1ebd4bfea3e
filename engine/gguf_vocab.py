"""The tokenizer inside a GGUF file: vocabulary, merges and named pre-tokeniser, for `tokenizers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from engine.errors import ModelError

if TYPE_CHECKING:
    from gguf import GGUFReader

CONTROL = 3  # gguf.TokenType.CONTROL; importing the constant would cost a second of start time
USER_DEFINED = 4

# Patterns as in the tokenizer.json of the model families that these names stand for.
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)


@dataclass(frozen=True, slots=True)
class GgufVocab:
    """What a GGUF file says about its tokenizer."""

    backend: Tokenizer
    bos: str | None
    eos: str | None
    chat_template: str | None


def byte_level_bpe(
    vocab: dict[str, int],
    merges: list[tuple[str, str]],
    special: Sequence[str],
    pre: str = "smollm",
    added: Sequence[str] = (),
) -> Tokenizer:
    """A byte-level BPE tokenizer with the pre-tokeniser that GGUF calls `pre`."""
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = _pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in added])
    return tokenizer


def read_gguf_vocab(source: str | Path | GGUFReader) -> GgufVocab:
    """Build the tokenizer of a GGUF file (a path, or a reader that is already open)."""
    reader = _open(source)
    if _value(reader, "tokenizer.ggml.model") != "gpt2":
        raise ModelError(
            f"This GGUF file holds a tokenizer of kind {_value(reader, 'tokenizer.ggml.model')!r}.",
            "Use a model with a byte-level BPE tokenizer (kind 'gpt2'), such as SmolLM2.",
        )
    tokens: list[str] = _value(reader, "tokenizer.ggml.tokens")
    kinds: list[int] = _value(reader, "tokenizer.ggml.token_type") or [1] * len(tokens)
    merges = [merge.partition(" ") for merge in _value(reader, "tokenizer.ggml.merges")]
    backend = byte_level_bpe(
        {token: index for index, token in enumerate(tokens)},
        [(left, right) for left, _, right in merges],
        [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL],
        _value(reader, "tokenizer.ggml.pre") or "gpt-2",
        [token for token, kind in zip(tokens, kinds, strict=True) if kind == USER_DEFINED],
    )
    return GgufVocab(
        backend,
        _token(tokens, _value(reader, "tokenizer.ggml.bos_token_id")),
        _token(tokens, _value(reader, "tokenizer.ggml.eos_token_id")),
        _value(reader, "tokenizer.chat_template"),
    )


def _open(source: str | Path | GGUFReader) -> GGUFReader:
    if not isinstance(source, (str, Path)):
        return source
    if not Path(source).is_file():
        raise ModelError(f"There is no file {source}.", "Check the path of the GGUF file.")
    from gguf import GGUFReader

    try:
        return GGUFReader(source)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise ModelError(
            f"{source} is not a readable GGUF file: {error}", "Download the file again."
        ) from error


def _value(reader: GGUFReader, key: str) -> Any:
    field = reader.get_field(key)
    return None if field is None else field.contents()


def _token(tokens: list[str], index: int | None) -> str | None:
    return None if index is None or not 0 <= index < len(tokens) else tokens[index]


def _pre_tokenizer(pre: str) -> pre_tokenizers.PreTokenizer:
    if pre == "smollm":
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    if pre == "gpt-2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    patterns = {"qwen2": _QWEN2, "llama-bpe": _LLAMA3}
    if pre not in patterns:
        raise ModelError(
            f"This GGUF file asks for the pre-tokeniser {pre!r}.",
            "Known: smollm, gpt-2, qwen2, llama-bpe. Or use a checkpoint folder with a tokenizer.json.",
        )
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(patterns[pre]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
