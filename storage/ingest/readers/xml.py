"""XML: journal articles (JATS) by their parts, other XML as its text; entities are not fetched."""

from __future__ import annotations

import html
import re
from typing import Any

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import one_line
from storage.ingest.parsed import ParsedDocument, ParseFailure
from storage.ingest.readers.html import read_markup
from storage.ingest.readers.source import Source

_ENTITY_IN_ENTITY = re.compile(r"&(?!#)[\w.-]+;|%[\w.-]+;")
_ENCODING = re.compile(r"\A(\s*<\?xml[^>]{0,200}?)\s+encoding\s*=\s*(\"[^\"]{0,40}\"|'[^']{0,40}')")
_DECLARED = re.compile(rb"<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]{2,40})")
_HEADINGS = frozenset("title head heading subtitle".split())
_PROSE = frozenset("p para paragraph text note quote l lg".split())


def read(source: Source) -> ParsedDocument:
    """Read an XML file."""
    builder = source.builder()
    with source.path.open("rb") as file:
        declared = _DECLARED.search(file.read(1024))
    text = source.text(builder, declared[1].decode("ascii") if declared else "")
    try:
        _add_root(parse_xml(text, builder), text, builder)
    except NotXMLError:
        builder.warn("not XML, whatever its name says")
    if builder.empty:
        builder.warn("the structure is broken; its text was read as far as it goes")
        read_markup(text, builder)
    return source.finish(builder)


class NotXMLError(ParseFailure):
    """Nothing of the file could be read as XML."""


def _add_root(root: Any, text: str, builder: TextBuilder) -> None:
    name = local_name(root)
    if name in ("article", "pmc-articleset") and root.find(".//{*}front") is not None:
        from storage.ingest.readers.jats import add_articles

        add_articles(root, builder)
    elif name == "html":
        read_markup(text, builder)
    else:
        _add_generic(root, builder)


def parse_xml(text: str, builder: TextBuilder) -> Any:
    """Parse without expanding or loading entities; a malformed file is mended and said to be."""
    from lxml import etree

    data = _ENCODING.sub(r"\1", text.lstrip("\ufeff \t\r\n")).encode("utf-8", errors="replace")
    try:
        root = etree.fromstring(data, _parser(recover=False))
    except etree.XMLSyntaxError as error:
        _refuse_hostile(error)
        builder.warn(f"not well-formed XML ({one_line(error.msg or '')[:120]}); some text may be missing")
        root = etree.fromstring(data, _parser(recover=True))
    if root is None:
        raise NotXMLError("failed", "A part of the file is not XML", "Download or copy it again.")
    replace_entities(root, builder)
    return root


def _parser(recover: bool) -> Any:
    from lxml import etree

    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        recover=recover,
        remove_pis=True,
        remove_comments=True,
    )


def _refuse_hostile(error: Exception) -> None:
    message = str(error)
    if "Excessive depth" in message:
        hint = "Flatten it, or add the text in it as a plain text file."
        raise ParseFailure("failed", "The XML is nested too deeply to read", hint) from error
    if "amplification" in message.lower() or "entity reference loop" in message.lower():
        raise _entity_bomb() from error


def _entity_bomb() -> ParseFailure:
    return ParseFailure(
        "failed",
        "The XML's entities expand beyond measure, as entity bombs do",
        "Do not trust this file. If you must read it, save its text as .txt.",
    )


def replace_entities(root: Any, builder: TextBuilder) -> None:
    """Write named characters and the file's own plain entities as text; what refers elsewhere stays out."""
    own = _own_entities(root)
    unknown: dict[str, None] = {}
    for node in list(root.iter()):
        if not callable(node.tag) or not hasattr(node, "name"):
            continue
        value = own.get(node.name)
        if value is None:
            value = html.unescape(f"&{node.name};")
            if value.startswith("&"):
                unknown[node.name] = None
                value = ""
        _replace_by_text(node, value + (node.tail or ""))
    if unknown:
        names = ", ".join(list(unknown)[:5])
        builder.warn(f"entities not loaded, their text is missing: {names}")


def _own_entities(root: Any) -> dict[str, str]:
    subset = root.getroottree().docinfo.internalDTD
    own: dict[str, str] = {}
    for entity in subset.iterentities() if subset is not None else ():
        content = entity.content
        if content is not None and _ENTITY_IN_ENTITY.search(html.unescape(content)):
            raise _entity_bomb()
        if content is not None and len(content) <= 1000 and entity.name:
            own[entity.name] = re.sub(r"<[^>]{0,1000}>", "", html.unescape(content))
    return own


def _replace_by_text(node: Any, text: str) -> None:
    parent, before = node.getparent(), node.getprevious()
    if parent is None:
        return
    if before is not None:
        before.tail = (before.tail or "") + text
    else:
        parent.text = (parent.text or "") + text
    node.tail = None
    parent.remove(node)


def local_name(element: Any) -> str:
    """The tag without its namespace, in lower case."""
    return element.tag.rsplit("}", 1)[-1].lower() if isinstance(element.tag, str) else ""


def text_of(element: Any) -> str:
    """All text inside an element on one line."""
    return one_line("".join(element.itertext()))


def _add_generic(root: Any, builder: TextBuilder) -> None:
    """Data elements as "name: value" lines, prose and mixed text as paragraphs, titles as headings."""
    stack = [(root, 1)]
    while stack:
        element, depth = stack.pop()
        name = local_name(element)
        children = [child for child in element if isinstance(child.tag, str)]
        if name in _HEADINGS:
            builder.title = builder.title or text_of(element)
            builder.heading(depth, text_of(element))
        elif name in _PROSE or (children and _is_mixed(element)):
            builder.paragraph(text_of(element))
        elif children:
            builder.end_rows()
            stack.extend((child, depth + 1) for child in reversed(children))
            for key, value in element.attrib.items():
                builder.row(
                    f"{key.rsplit('}', 1)[-1]}: {value}" if "}" not in key and len(value) < 1000 else ""
                )
        else:
            _add_leaf(element, name, builder)


def _is_mixed(element: Any) -> bool:
    return bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)


def _add_leaf(element: Any, name: str, builder: TextBuilder) -> None:
    text = text_of(element)
    shown = element.tag.rsplit("}", 1)[-1]
    attributes = "; ".join(
        f"{key.rsplit('}', 1)[-1]}: {value[:1000]}" for key, value in element.attrib.items()
    )
    if text and len(text) > 1000:
        builder.paragraph(text)
    elif text:
        builder.row(f"{shown}: {text}" + (f" ({attributes})" if attributes else ""))
    elif attributes:
        builder.row(f"{shown}: {attributes}")
