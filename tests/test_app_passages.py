"""Passages tile a document in characters and in tokens, are of a sensible size, and cost little."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from app_home import prose
from tiny import _tokenizer

from app.passages import MOST_TOKENS, TARGET_TOKENS, split_passages
from engine.tokenizer import Tokenizer
from storage import PassageSpan


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(_tokenizer(), "<|im_start|>", "<|im_end|>", None)


TEXTS = {
    "prose": prose(1, 40),
    "one line": prose(2, 40).replace("\n", " "),
    "no spaces": "abcd1234" * 2000,
    "line feeds": "\n" * 3000,
    "spaces": " " * 5000,
    "Chinese": "我们今天讨论合同的终止条款。" * 200,
    "emoji of several tokens": "👩‍👩‍👧‍👦🇩🇪" * 300,
    "one character": "x",
    "table": "\n".join(f"{n},{n * n},{n / 7:.3f}" for n in range(800)),
}


def tiles(passages: Sequence[PassageSpan], characters: int, tokens: int) -> bool:
    edges = [(0, 0), *((span.end, span.token_end) for span in passages)]
    starts = [(span.start, span.token_start) for span in passages]
    return starts == edges[:-1] and edges[-1] == (characters, tokens)


@pytest.mark.parametrize("name", TEXTS)
def test_passages_tile_the_text_and_its_tokens(tokenizer: Tokenizer, name: str) -> None:
    text = TEXTS[name]
    passages, tokens = split_passages(text, [], tokenizer)
    assert tokens == len(tokenizer.encode(text))
    assert tiles(passages, len(text), tokens)
    assert [span.ordinal for span in passages] == list(range(len(passages)))


@pytest.mark.parametrize("name", TEXTS)
def test_a_passages_tokens_are_those_of_its_characters(tokenizer: Tokenizer, name: str) -> None:
    text = TEXTS[name]
    passages, _ = split_passages(text, [], tokenizer)
    _, offsets = tokenizer.encode_with_offsets(text)
    for span in passages:
        assert offsets.starts[span.token_start] == span.start
        assert all(
            span.start <= start < span.end for start in offsets.starts[span.token_start : span.token_end]
        )


def test_no_passage_is_much_longer_than_the_target(tokenizer: Tokenizer) -> None:
    for text in TEXTS.values():
        passages, _ = split_passages(text, [], tokenizer)
        # A character of several tokens is never cut, hence the small allowance.
        assert all(span.token_end - span.token_start <= MOST_TOKENS + 8 for span in passages)


def test_prose_gives_passages_of_about_the_target(tokenizer: Tokenizer) -> None:
    passages, tokens = split_passages(prose(3, 200), [], tokenizer)
    assert 0.6 * TARGET_TOKENS <= tokens / len(passages) <= 1.3 * TARGET_TOKENS


def test_passages_begin_at_paragraphs_where_paragraphs_are_short(tokenizer: Tokenizer) -> None:
    text = "\n\n".join(f"Point {n}. The party of part {n} shall pay {n} marks." for n in range(200))
    passages, _ = split_passages(text, [], tokenizer)
    assert all(text[span.start : span.end].lstrip().startswith("Point") for span in passages)


def test_each_passage_stands_under_its_heading(tokenizer: Tokenizer) -> None:
    first, second = "Duties\n\n" + prose(4, 12), "Termination\n\n" + prose(5, 12)
    headings = [(0, "Lease > Duties"), (len(first), "Lease > Termination")]
    passages, _ = split_passages(first + second, headings, tokenizer)
    under = [span.heading for span in passages]
    assert set(under) == {"Lease > Duties", "Lease > Termination"}
    assert all((span.start < len(first) - 1) == (span.heading == "Lease > Duties") for span in passages)


def test_empty_text_has_no_passages(tokenizer: Tokenizer) -> None:
    assert split_passages("", [], tokenizer) == ([], 0)


def test_the_time_grows_with_the_length_only(tokenizer: Tokenizer) -> None:
    def seconds(text: str) -> float:
        started = time.process_time()
        split_passages(text, [], tokenizer)
        return time.process_time() - started

    seconds("warm up " * 1000)
    for unit in ("abcd1234", "word ", "\n", "a b. "):
        short, long = seconds(unit * 8_000), min(seconds(unit * 64_000) for _ in range(2))
        assert long < 8 * max(short, 0.05) * 2.5, (
            f"{unit!r}: {short:.2f} s, then {long:.2f} s for 8 times the text"
        )
