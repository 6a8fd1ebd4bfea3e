"""The file that a reader reads, with its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.ingest.builder import TextBuilder
from storage.ingest.decoding import decode
from storage.ingest.formats import MEDIA_TYPES
from storage.ingest.parsed import ParsedDocument, ParseFailure, ParseLimits


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read: `kind` is a key of MEDIA_TYPES, `deadline` is on the monotonic clock."""

    path: Path
    name: str
    kind: str
    suffix: str
    limits: ParseLimits
    deadline: float

    def builder(self, paged: bool = False) -> TextBuilder:
        return TextBuilder(self.limits.text_mb, paged)

    def finish(self, builder: TextBuilder, scanned: bool = False) -> ParsedDocument:
        return builder.build(MEDIA_TYPES[self.kind], self.name, scanned)

    def bytes(self) -> bytes:
        """The file's content, refused when it is larger than any text within the limit can be."""
        size = self.path.stat().st_size
        if size > 4 * self.limits.text_mb * 1_000_000:
            raise ParseFailure(
                "failed",
                f"The file is too large ({size / 1e6:,.0f} MB; the limit is {self.limits.text_mb:,} MB)",
                "Split it into smaller files and add those.",
            )
        return self.path.read_bytes()

    def text(self, builder: TextBuilder, declared: str = "") -> str:
        """The decoded content; what decoding had to do is noted in the builder's warnings."""
        text, warnings = decode(self.bytes(), declared)
        for warning in warnings:
            builder.warn(warning)
        return text
