"""Pictures of text: as many empty pages as there are frames, for text recognition to fill."""

from __future__ import annotations

import warnings

from storage.ingest.parsed import ParsedDocument, ParseFailure
from storage.ingest.readers.source import Source

_MOST_FRAMES = 5_000
_MOST_PIXELS = 400_000_000


def read(source: Source) -> ParsedDocument:
    """Look at an image file; its pages all need OCR."""
    from PIL import Image

    builder = source.builder(paged=True)
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    try:
        with warnings.catch_warnings(), Image.open(source.path) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            frames = getattr(image, "n_frames", 1)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombWarning) as error:
        raise _damaged(error) from error
    except Image.DecompressionBombError as error:
        hint = "Make it smaller and add it again."
        raise ParseFailure("failed", "The image is larger than any page", hint) from error
    for _ in range(min(frames, _MOST_FRAMES)):
        builder.end_page(needs_ocr=True)
    return source.finish(builder, scanned=True)


def _damaged(error: Exception) -> ParseFailure:
    reason = str(error)[:100] or type(error).__name__
    return ParseFailure("failed", f"The image is damaged ({reason})", "Save or download it again.")
