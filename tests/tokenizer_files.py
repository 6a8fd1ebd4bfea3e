"""A small byte-level BPE of SmolLM2's construction, trained in a blink, and the same thing as a GGUF file."""

import json
from pathlib import Path

from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer as Backend
from tokenizers import pre_tokenizers, trainers

from engine.gguf_vocab import byte_level_bpe

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
    "<|im_start|>system\nYou are a test.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LINES = (
    "The patient received 40 mg of the drug and didn't report any bleeding. " * 3,
    "Either party may terminate this agreement upon thirty (30) days' written notice.",
    "they'll say it's fine     and we've seen the theory of the thing\n\n  the end",
    "日本語の文章です。日本の文。 naïve café 😀 😀 Договор вступает",
)
# SmolLM2's vocabulary lacks 21 bytes, six of them control characters: so does this one.
MISSING = "\x04"


def train_backend() -> Backend:
    """Train, then rebuild as the product builds it, so that the pre-tokeniser under test is the product's."""
    backend = byte_level_bpe({}, [], [])
    missing = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(MISSING)[0][0]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(set(pre_tokenizers.ByteLevel.alphabet()) - {missing}),
        show_progress=False,
    )
    backend.train_from_iterator(LINES, trainer)
    return backend


def write_gguf(path: Path, backend: Backend, **changes: str) -> Path:
    """Write a GGUF file with nothing but `backend`'s tokenizer; `changes` overrides `model` or `pre`."""
    writer = GGUFWriter(path, "llama")
    add_tokenizer(writer, backend, **changes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def add_tokenizer(writer: GGUFWriter, backend: Backend, **changes: str) -> None:
    """Put the fields of `backend` into a GGUF file being written."""
    vocab = backend.get_vocab()
    tokens = sorted(vocab, key=vocab.__getitem__)
    kinds = [TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model(changes.get("model", "gpt2"))
    writer.add_tokenizer_pre(changes.get("pre", "smollm"))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in json.loads(backend.to_str())["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)
