"""Text recognition of one page, in the child process: rapidocr with the models of its own wheel."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from storage.ingest.cleaning import one_line
from storage.ingest.formats import tell_format
from storage.ingest.paragraphs import ROW_MARK, join_lines
from storage.ingest.readers.pdf_order import blocks_in_order
from storage.ingest.readers.pdf_tables import aligned_tables
from storage.ingest.readers.pdf_words import Box, Word, in_lines

_DPI = 150
_LARGEST_SIDE = 3_000
_FAINT = 0.5  # below it the model itself does not believe what it read


def recognise(path: Path, name: str, page: int) -> dict[str, Any]:
    """Return {"text", "confidence"} of page `page` (0-based); "" and None where nothing is seen."""
    found = _engine()(_picture(path, name, page))
    boxes, texts, scores = found.boxes, found.txts, found.scores
    if boxes is None or texts is None or scores is None:
        return {"text": "", "confidence": None}
    kept = [n for n, score in enumerate(scores) if score >= _FAINT and str(texts[n]).strip()]
    words = _upright([boxes[n].tolist() for n in kept], [one_line(str(texts[n])) for n in kept])
    letters = [len(texts[n]) for n in kept]
    weighed = sum(float(scores[n]) * count for n, count in zip(kept, letters, strict=True))
    return {"text": page_text(words), "confidence": round(weighed / sum(letters), 3) if kept else None}


def page_text(words: list[Word]) -> str:
    """The text of lines that were found on a page: tables as rows, columns one after the other."""
    tables = aligned_tables(words)
    rest = [word for word in words if not any(table.box.holds(*word.box.middle) for table in tables)]
    rows = {table.box: [ROW_MARK + line for line in table.lines] for table in tables}
    blocks = blocks_in_order([*rest, *(Word("", box) for box in rows)])
    return join_lines(["\n\n".join(_block_text(block, rows) for block in blocks)])[0]


def _block_text(words: list[Word], rows: dict[Box, list[str]]) -> str:
    lines: list[str] = []
    for line in in_lines(words):
        lines.append(" ".join(word.text for word in line if word.text))
        lines += [row for word in line for row in rows.get(word.box, ())]
    return "\n".join(line for line in lines if line)


def _upright(quads: list[list[list[float]]], texts: list[str]) -> list[Word]:
    """Corner points to boxes with y pointing up, the page's tilt taken out."""
    tilt = median([math.atan2(q[1][1] - q[0][1], q[1][0] - q[0][0]) for q in quads] or [0.0])
    tilt = tilt if abs(tilt) < 0.2 else 0.0
    cos, sin = math.cos(-tilt), math.sin(-tilt)
    words = []
    for quad, text in zip(quads, texts, strict=True):
        xs = [x * cos - y * sin for x, y in quad]
        ys = [-(x * sin + y * cos) for x, y in quad]
        words.append(Word(text, Box(min(xs), min(ys), max(xs), max(ys))))
    return words


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    quiet = {"Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": 1}
    return RapidOCR(params=quiet)


def _picture(path: Path, name: str, page: int) -> Any:
    import numpy as np

    if tell_format(path, name) == "pdf":
        return np.asarray(_drawn(path, page).convert("RGB"))
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        image.seek(page)
        upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
        return np.asarray(upright)


def _drawn(path: Path, page: int) -> Any:
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    width, height = document[page].get_size()
    scale = min(_DPI / 72, _LARGEST_SIDE / max(width, height, 1.0))
    return document[page].render(scale=scale).to_pil()
