"""Draws one page of a PDF with a quote boxed. Runs as its own process: `python -m app.view.pdf_page`.

The file is somebody else's and pdfium is native code: a crash, an endless loop or a huge page must not take
the page server along. Request: JSON on standard input. Reply: a JSON line, then the PNG, on standard output.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageChops, ImageDraw

from app.view.matching import find

WIDTH_PX = 1240
MAX_PIXELS = 6_000_000
CPU_SECONDS = 20
MEMORY_BYTES = 1_500_000_000
MARKER = (255, 226, 138)
OUTLINE = (176, 112, 16)

Box = tuple[float, float, float, float]


def quote_boxes(page: pdfium.PdfPage, quote: str, occurrence: int) -> list[Box]:
    """Boxes around the quote, one a line, in page coordinates (left, bottom, right, top)."""
    text_page = page.get_textpage()
    codes = [pdfium_c.FPDFText_GetUnicode(text_page, index) for index in range(text_page.count_chars())]
    text = "".join(chr(code) if 0 < code < 0x110000 else " " for code in codes)
    span = find(text, quote, occurrence)
    if span is None:
        return _row_boxes(page, quote) if ": " in quote else []
    rectangles = text_page.count_rects(span[0], span[1] - span[0])
    return join_lines([text_page.get_rect(index) for index in range(rectangles)])


def _row_boxes(page: pdfium.PdfPage, quote: str) -> list[Box]:
    from app.view.table_boxes import row_boxes  # loads the reader of PDFs, which most pages do without

    return [(box.left, box.bottom, box.right, box.top) for box in row_boxes(page, quote)]


def join_lines(boxes: list[Box]) -> list[Box]:
    """Neighbouring boxes on the same line become one: pdfium splits a line at every change of font."""
    lines: list[Box] = []
    for left, bottom, right, top in boxes:
        if lines:
            before = lines[-1]
            overlap = min(top, before[3]) - max(bottom, before[1])
            if overlap > 0.5 * min(top - bottom, before[3] - before[1]) and left >= before[0]:
                lines[-1] = (before[0], min(bottom, before[1]), max(right, before[2]), max(top, before[3]))
                continue
        lines.append((left, bottom, right, top))
    return lines


def mark(image: Image.Image, boxes: list[Box]) -> Image.Image:
    """The image with each box (pixels: left, top, right, bottom) under a marker pen, outlined."""
    pen = Image.new("RGB", image.size, (255, 255, 255))
    draw = ImageDraw.Draw(pen)
    for box in boxes:
        draw.rounded_rectangle(box, radius=4, fill=MARKER)
    marked = ImageChops.multiply(image, pen)
    outline = ImageDraw.Draw(marked)
    for box in boxes:
        outline.rounded_rectangle(box, radius=4, outline=OUTLINE, width=2)
    return marked


def draw_page(path: Path, number: int, quote: str, occurrence: int = 0) -> tuple[bytes, int]:
    """The PNG of page `number` (from 1) and the number of boxes drawn; 0: the quote was not located."""
    document = pdfium.PdfDocument(path)
    page = document[number - 1]
    width, height = page.get_size()
    scale = min(WIDTH_PX / width, (MAX_PIXELS / (width * height)) ** 0.5)
    bitmap = page.render(scale=scale, may_draw_forms=False)
    to_pixels = bitmap.get_posconv(page).to_bitmap
    boxes = []
    for left, bottom, right, top in quote_boxes(page, quote, occurrence):
        (x0, y0), (x1, y1) = to_pixels(left, top), to_pixels(right, bottom)
        boxes.append((min(x0, x1) - 5, min(y0, y1) - 4, max(x0, x1) + 5, max(y0, y1) + 4))
    image = mark(bitmap.to_pil().convert("RGB"), boxes)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)  # "optimize" would take eight times as long for the same size
    return out.getvalue(), len(boxes)


def limit_process() -> None:
    """Bounds on this process where the system has them."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def main() -> int:
    """Answers one request and ends."""
    limit_process()
    request = json.loads(sys.stdin.buffer.read())
    try:
        where = Path(request["path"]), request["page"]
        png, boxes = draw_page(*where, request["quote"], request["occurrence"])
    except (pdfium.PdfiumError, ValueError, IndexError, KeyError, OSError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(json.dumps({"boxes": boxes}).encode() + b"\n" + png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
