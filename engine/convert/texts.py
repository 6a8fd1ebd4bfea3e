"""Texts to calibrate and measure a conversion with: 128 pieces of the sample archive, or of a file."""

import json
import lzma
from collections.abc import Iterator
from pathlib import Path

from lxml import etree, html

from engine.errors import EngineError
from engine.tokenizer import Tokenizer

COUNT = 128
MAX_TOKENS = 512
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "sample"
PLAIN = (".txt", ".md", ".html")


def sample_texts(count: int = COUNT) -> list[str]:
    """The sample archive cut into pieces; what it holds as PDF or DOCX is taken from the sources of those."""
    files = sorted(
        path
        for folder in ("documents", "source")
        for path in (SAMPLE / folder).rglob("*")
        if path.suffix in PLAIN
    )
    return cut("\n\n".join(map(_readable, files)), count)


def read_texts(path: Path, count: int = COUNT) -> list[str]:
    """At most `count` texts of a file: the lines of a .jsonl (or .jsonl.xz) as strings or under "text", else
    the whole file cut into pieces. EngineError if there are none.
    """
    try:
        if ".jsonl" in path.suffixes:
            texts = list(_lines(path, count))
        else:
            texts = cut(path.read_text("utf-8"), count)
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise EngineError(f"cannot read texts from {path}: {error}", "Give --texts a UTF-8 file.") from error
    if not texts:
        raise EngineError(f"{path} holds no text", "Give --texts a file with text in it.")
    return texts


def cut(text: str, count: int) -> list[str]:
    """`text` in about `count` pieces of equal length, cut between words; empty pieces are left out."""
    places = [0]
    for i in range(1, count):
        place = len(text) * i // count
        while place < len(text) and not text[place].isspace():
            place += 1
        places.append(place)
    pieces = (text[start:stop].strip() for start, stop in zip(places, [*places[1:], len(text)], strict=True))
    return [piece for piece in pieces if piece]


def encode_texts(tokenizer: Tokenizer, texts: list[str], limit: int = MAX_TOKENS) -> list[list[int]]:
    """Ids of each text after a separator, at most `limit` tokens of it."""
    return [[tokenizer.separator_id, *tokenizer.encode(text)[:limit]] for text in texts]


def _lines(path: Path, count: int) -> Iterator[str]:
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            text = record.get("text") if isinstance(record, dict) else record
            if not isinstance(text, str):
                raise EngineError(
                    f"line {number} of {path} is neither a text nor an object with a text",
                    'Give lines such as {"text": "..."}.',
                )
            if text.strip():
                yield text
                count -= 1
            if not count:
                return


def _readable(path: Path) -> str:
    text = path.read_text("utf-8")
    if path.suffix != ".html":
        return text
    page = html.fromstring(text)
    etree.strip_elements(page, "head", "style", "script", with_tail=False)
    return str(page.text_content())
