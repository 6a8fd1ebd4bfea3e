"""Markdown: readable, complete, and nothing from a document acts as markup."""

from __future__ import annotations

import html
import random
import re
from pathlib import Path

import pytest
from export_findings import finding
from markdown_it import MarkdownIt

from storage.export import CitationRecord, FindingRecord, export_findings
from storage.export.markdown import escape

_OURS = {"h1", "h2", "h3", "p", "strong", "em", "blockquote", "ul", "ol", "li", "br"}
_OURS |= {"table", "thead", "tbody", "tr", "th", "td"}
_EVIL = (
    "<script>alert(1)</script>",
    "# h",
    "1. x",
    "2) x",
    "- x",
    "+ x",
    "* x",
    "- [ ] task",
    "> q",
    "---",
    "===",
    "| a | b |\n| --- | --- |",
    "```\ncode",
    "    code",
    "\t- x",
    "[x](http://e)",
    "![x](y)",
    "[1]: http://x",
    "[^1]",
    "<a@b.co>",
    "<!-- x",
    "*b* _i_ **x** ~~s~~",
    "&lt;b&gt; &#60;",
    "`c`",
    "\\",
    "a\\\nb",
    "Term\n: def",
    "$x$",
    "x\r\ny",
    "\u2028# z",
    "a  \nb",
    "line\n\n\n# h",
)


def render(record: FindingRecord, folder: Path) -> str:
    return export_findings([record], folder / "findings.md").read_text(encoding="utf-8")


def words(rendered: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", rendered)).split())


def test_everything_a_reader_needs_is_there(tmp_path: Path) -> None:
    text = words(MarkdownIt("gfm-like", {"linkify": False}).render(render(finding(), tmp_path)))
    for part in (
        "Findings: Leases",
        "1. How long is the notice period?",
        "Six months [1], with a penalty [2].",
        "Partly supported by the cited quotes (confidence 72%)",
        "[1] legal/lease.pdf, page 3 (verified verbatim)",
        "The notice period is six months.",
        "[2] annex.docx, page 1 (NOT verified)",
        "Asked only of: legal/lease.pdf, annex.docx",
        "1,200 of 1,500 tokens of an archive of 3 documents had been read",
        "Not read: scan.pdf (images without text, needs OCR)",
        "Model fingerprint ab12cd34",
        "Energy 41.3 J (RAPL package-0)",
        "Asked 2026-03-01 10:00 UTC",
        "Silent channels 18.4%",
    ):
        assert part in text


def test_energy_that_was_not_measured_is_not_available(tmp_path: Path) -> None:
    text = render(FindingRecord("Q", "A", "supported", run={"energy_j": None, "power_w": None}), tmp_path)
    assert "| Energy | not available |" in text
    assert "not recorded" in text


def test_nothing_in_a_document_becomes_markup(tmp_path: Path) -> None:
    source, parser = random.Random(1), MarkdownIt("gfm-like", {"linkify": False})
    for _ in range(150):
        evil = "\n".join(source.choices(_EVIL, k=source.randint(1, 4)))
        record = FindingRecord(
            f"Q {evil}", evil, "supported", (CitationRecord(1, evil, 1, 0, 1, evil, True),), archive=evil,
            documents=(evil,), run={"model": evil},
            context={"tokens_read": 1, "tokens_total": 2, "not_read": [{"document": evil, "reason": evil}]},
        )  # fmt: skip
        page = parser.render(render(record, tmp_path))
        assert set(re.findall(r"</?(\w+)", page)) <= _OURS, evil
        quote = re.search(r"<blockquote>(.*?)</blockquote>", page, re.DOTALL)
        assert quote is not None
        assert words(quote[1]) == " ".join(evil.split()), evil


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("http://evil.example", "http\\://evil.example"),
        ("www.evil.example", "www\\.evil.example"),
        ("me@evil.example", "me\\@evil.example"),
        ("400 mg, twice a day (max. 2.5 g): 50%!", "400 mg, twice a day (max. 2.5 g): 50%!"),
        ("a\x1b[31mb\x00c", "a\\[31mbc"),
    ],
)
def test_links_are_broken_and_plain_text_stays_plain(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_long_question_gets_a_short_heading(tmp_path: Path) -> None:
    text = render(FindingRecord("why " * 12_500, "A", "not_found"), tmp_path)
    heading = next(line for line in text.splitlines() if line.startswith("## 1."))
    assert len(heading) < 220
    assert ("why " * 12_500).strip() in text
