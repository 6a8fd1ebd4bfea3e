"""Journal articles in JATS XML: title, authors, abstract, sections, tables, references."""

from __future__ import annotations

import re
from typing import Any

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import one_line
from storage.ingest.readers.xml import local_name
from storage.ingest.tables import TableGrid

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_BLOCKS_IN_PARAGRAPH = frozenset("table-wrap fig list disp-quote disp-formula boxed-text def-list".split())
_LEFT_OUT = frozenset("graphic media object-id tex-math alternatives-graphic inline-graphic".split())
_GROUPS = frozenset(
    "body back sec-group app-group glossary notes fn-group boxed-text supplementary-material floats-group "
    "disp-quote fig-group table-wrap-group statement verse-group trans-abstract table-wrap-foot".split()
)


def add_articles(root: Any, builder: TextBuilder) -> None:
    """Add every article of the file."""
    articles = [root] if local_name(root) == "article" else list(root.iterfind("{*}article"))
    builder.language = root.get(_LANGUAGE) or (articles[0].get(_LANGUAGE) if articles else "") or ""
    for article in articles:
        _add_article(article, builder)


def _add_article(article: Any, builder: TextBuilder) -> None:
    meta = article.find("{*}front/{*}article-meta")
    if meta is not None:
        title = meta.find("{*}title-group/{*}article-title")
        if title is not None:
            builder.title = builder.title or inline_text(title)
            builder.heading(1, inline_text(title))
        _add_about(article, meta, builder)
        for abstract in meta.iterfind("{*}abstract"):
            own_title = abstract.find("{*}title")
            builder.heading(2, inline_text(own_title) if own_title is not None else "Abstract")
            _add_blocks(abstract, 2, builder)
        words = [inline_text(word) for word in meta.iterfind("{*}kwd-group/{*}kwd")]
        builder.row("Keywords: " + "; ".join(words) if words else "")
    for part in ("body", "back", "floats-group"):
        for element in article.iterfind(f"{{*}}{part}"):
            _add_blocks(element, 1, builder)


def _add_about(article: Any, meta: Any, builder: TextBuilder) -> None:
    """The lines that a reader sees under the title."""
    authors = []
    for name in meta.iterfind("{*}contrib-group/{*}contrib/{*}name"):
        given, surname = name.findtext("{*}given-names") or "", name.findtext("{*}surname") or ""
        authors.append(one_line(f"{given} {surname}"))
    journal = article.findtext("{*}front/{*}journal-meta//{*}journal-title") or ""
    years = [year.text for year in meta.iterfind("{*}pub-date/{*}year") if year.text]
    doi = next((item.text for item in meta.iterfind("{*}article-id") if item.get("pub-id-type") == "doi"), "")
    builder.row("Authors: " + ", ".join(authors) if authors else "")
    builder.row(f"Journal: {journal}" if journal else "")
    builder.row(f"Published: {min(years)}" if years else "")
    builder.row(f"DOI: {doi}" if doi else "")
    builder.end_rows()


def _add_blocks(parent: Any, level: int, builder: TextBuilder) -> None:
    for element in parent:
        name = local_name(element)
        if name in ("sec", "app", "ack", "ref-list"):
            _add_section(element, level + 1, builder)
        elif name in ("p", "verse-line", "attrib", "speech"):
            _add_paragraph(element, level, builder)
        elif name in _GROUPS:
            _add_blocks(element, level, builder)
        elif name in ("title", "label", *_LEFT_OUT):
            continue
        elif name == "table-wrap":
            _add_table(element, builder)
        elif name == "list":
            _add_list(element, builder)
        elif name == "fig":
            builder.paragraph(_label_and_caption(element))
        else:
            builder.paragraph(inline_text(element))


def _add_section(section: Any, level: int, builder: TextBuilder) -> None:
    label, title = section.find("{*}label"), section.find("{*}title")
    default = {"ack": "Acknowledgements", "ref-list": "References"}.get(local_name(section), "")
    parts = [inline_text(part) for part in (label, title) if part is not None]
    builder.heading(level, " ".join(parts) or default)
    for reference in section.iterfind("{*}ref"):
        builder.row(_reference(reference))
    _add_blocks([child for child in section if local_name(child) != "ref"], level, builder)


def _add_paragraph(paragraph: Any, level: int, builder: TextBuilder) -> None:
    """A paragraph, then the tables, figures and lists that were put inside it."""
    inner = [child for child in paragraph if local_name(child) in _BLOCKS_IN_PARAGRAPH - {"disp-formula"}]
    builder.paragraph(inline_text(paragraph, without=frozenset(map(id, inner))))
    if inner:
        _add_blocks(inner, level, builder)


def _add_list(element: Any, builder: TextBuilder) -> None:
    for item in element.iter("{*}list-item"):
        builder.row("- " + inline_text(item))
    builder.end_rows()


def _add_table(wrap: Any, builder: TextBuilder) -> None:
    builder.end_rows()
    builder.row(_label_and_caption(wrap))
    for table in wrap.iter("{*}table"):
        grid = TableGrid()
        for row in table.iter("{*}tr"):
            in_head = local_name(row.getparent()) == "thead"
            for cell in row:
                if local_name(cell) in ("td", "th"):
                    header = in_head or local_name(cell) == "th"
                    grid.add_cell(inline_text(cell), header, _span(cell, "colspan"), _span(cell, "rowspan"))
            grid.end_row()
        for line in grid.lines():
            builder.row(line)
    for foot in wrap.iterfind("{*}table-wrap-foot"):
        builder.row(inline_text(foot))
    builder.end_rows()


def _span(cell: Any, name: str) -> int:
    value = cell.get(name, "1")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 1


def _label_and_caption(element: Any) -> str:
    parts = [
        inline_text(part)
        for part in (element.find("{*}label"), element.find("{*}caption"))
        if part is not None
    ]
    return " ".join(parts)


def _reference(reference: Any) -> str:
    return re.sub(
        r"\s+([.,;:])", r"\1", " ".join(text for text in map(one_line, reference.itertext()) if text)
    )


def inline_text(element: Any, without: frozenset[int] = frozenset()) -> str:
    """Text of an element on one line; powers marked, formulas once, blocks set apart by a space."""
    pieces: list[str] = []
    _collect(element, pieces, without)
    return one_line("".join(pieces))


def _collect(element: Any, pieces: list[str], without: frozenset[int]) -> None:
    pieces.append(element.text or "")
    for child in element:
        name = local_name(child)
        if name and name not in _LEFT_OUT and id(child) not in without:
            start = len(pieces)
            pieces.append(" " if name in ("p", "title", "break", "label", "list-item") else "")
            _collect(child, pieces, without)
            raised = "".join(pieces[start:]).strip()
            if name == "sup" and re.fullmatch(r"[-+−–]?\d{1,4}", raised) and child.find("{*}xref") is None:
                pieces[start:] = [f"^{raised}"]
            pieces.append(" " if name in ("p", "title", "label", "list-item") else "")
        pieces.append(child.tail or "")
