"""PDFs cut off before their end: the pages that arrived whole are found and given a new table of contents."""

from __future__ import annotations

import re

_OBJECT = re.compile(rb"(?<!\d)(\d{1,8})\s{1,3}(\d{1,5})\s{1,3}obj\b")
_PAGE = re.compile(rb"/Type\s{0,3}/Page(?![A-Za-z])")
_PAGES_FOUND = 20_000


def repair(data: bytes) -> bytes | None:
    """Return the PDF with its whole pages reachable, in the order of the file; None if there are none."""
    if b"/Encrypt" in data:
        return None
    starts = {int(match[1]): match.start() for match in _OBJECT.finditer(data)}
    ends = sorted(starts.values())[1:] + [len(data)]
    end_of = dict(zip(sorted(starts.values()), ends, strict=True))
    pages = []
    for number, start in sorted(starts.items(), key=lambda item: item[1]):
        body = data[start : min(end_of[start], start + 20_000)]
        if _PAGE.search(body) and b"endobj" in body:
            pages.append(number)
    if not pages:
        return None
    return data + _contents(starts, pages[:_PAGES_FOUND], len(data) + 1)


def _contents(starts: dict[int, int], pages: list[int], at: int) -> bytes:
    """A catalog, a page list and a cross-reference table to append."""
    catalog, tree = max(starts) + 1, max(starts) + 2
    kids = b" ".join(b"%d 0 R" % number for number in pages)
    first = b"%d 0 obj\n<< /Type /Catalog /Pages %d 0 R >>\nendobj\n" % (catalog, tree)
    second = b"%d 0 obj\n<< /Type /Pages /Count %d /Kids [%s] >>\nendobj\n" % (tree, len(pages), kids)
    offsets = starts | {catalog: at, tree: at + len(first)}
    rows = b"".join(b"%d 1\n%010d 00000 n \n" % (number, offsets[number]) for number in sorted(offsets))
    table = b"xref\n0 1\n0000000000 65535 f \n" + rows
    trailer = b"trailer\n<< /Size %d /Root %d 0 R >>\n" % (tree + 1, catalog)
    start = at + len(first) + len(second)
    return b"\n" + first + second + table + trailer + b"startxref\n%d\n%%%%EOF\n" % start
