"""Words, units and escaping of the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from markdown_it import MarkdownIt

from app.view import words


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "![x](http://evil.example/p.png)",
        "**bold** _it_ `code` ~~gone~~",
        "[link](javascript:alert(1))",
        "# heading\n- item\n1. one",
        "$x^2$ & &amp; <b>b</b>",
        "| a | b |\n|---|---|",
    ],
)
def test_markdown_shows_hostile_names_as_they_stand(hostile: str) -> None:
    rendered = (
        MarkdownIt("commonmark", {"html": True})
        .enable(["table", "strikethrough"])
        .render(words.plain(hostile))
    )
    body = rendered.strip().removeprefix("<p>").removesuffix("</p>")
    assert "<" not in body
    shown = body.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    assert shown.replace("\u2060", "") == " ".join(hostile.split())


def test_icon_and_emoji_names_are_broken_up() -> None:
    assert ":material" not in words.plain(":material/check:").replace("\\", "")
    assert "www." not in words.plain("www.evil.example").replace("\\", "")


def test_html_is_escaped() -> None:
    assert words.safe('<img src=x onerror="1">') == "&lt;img src=x onerror=&quot;1&quot;&gt;"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (612e6, "612 MB"),
    ],
)
def test_sizes(number: float, said: str) -> None:
    assert words.size(number) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.4213, "0.42 s"),
        (4.25, "4.2 s"),
        (59.4, "59 s"),
        (200, "3 min 20 s"),
        (120, "2 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(value: float, said: str) -> None:
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "estimating the time left"),
        (0.3, "almost done"),
        (7.2, "about 7 s left"),
        (100, "about 1 min 40 s left"),
    ],
)
def test_time_left(value: float | None, said: str) -> None:
    assert words.remaining(value) == said


def test_unknown_numbers_are_not_available_never_zero() -> None:
    for say in (words.size, words.seconds, words.rate, words.figure, words.share, words.count):
        assert say(None) == "not available"


def test_figures_keep_three_digits() -> None:
    assert words.figure(12.3456, "W") == "12.3 W"
    assert words.figure(0.01234) == "0.0123"
    assert words.figure(12345.6, "J") == "12,346 J"


def test_one_thing_is_singular() -> None:
    assert words.count(1, "document") == "1 document"
    assert words.count(2, "document") == "2 documents"
    assert words.count(1200, "token") == "1,200 tokens"


def test_ago() -> None:
    now = datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert words.ago(now - timedelta(seconds=5), now) == "just now"
    assert words.ago(now - timedelta(minutes=5), now) == "5 min ago"
    assert words.ago(now - timedelta(hours=3), now) == "3 h ago"
    assert words.ago(datetime(2026, 2, 1, 12, tzinfo=UTC), now) == "1 February 2026"
