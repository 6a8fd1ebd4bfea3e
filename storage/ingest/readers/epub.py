"""EPUB: the chapters in the order of the spine."""

from __future__ import annotations

import posixpath
import re
import zipfile
from typing import Any
from urllib.parse import unquote

from storage.ingest.builder import TextBuilder
from storage.ingest.decoding import decode
from storage.ingest.parsed import ParsedDocument, ParseFailure
from storage.ingest.readers.html import read_markup
from storage.ingest.readers.source import Source
from storage.ingest.readers.xml import parse_xml
from storage.ingest.readers.zipped import ZIP_DAMAGE, check_container

_FONT_OBFUSCATION = re.compile(r"http://(?:www\.idpf\.org/2008/embedding|ns\.adobe\.com/pdf/enc#RC)\S*")
_ALGORITHM = re.compile(r"EncryptionMethod[^>]{0,500}?Algorithm=[\"']([^\"']{1,300})")


def read(source: Source) -> ParsedDocument:
    """Read an EPUB book."""
    check_container(source.path, source.limits)
    builder = source.builder()
    try:
        with zipfile.ZipFile(source.path) as archive:
            _add_book(archive, builder)
    except ZIP_DAMAGE as error:
        raise _damaged(str(error)) from error
    return source.finish(builder)


def _damaged(reason: str) -> ParseFailure:
    return ParseFailure("failed", f"The EPUB is damaged ({reason[:150]})", "Download or copy it again.")


def _add_book(archive: zipfile.ZipFile, builder: TextBuilder) -> None:
    _refuse_locked(archive)
    container = parse_xml(_text(archive, "META-INF/container.xml"), builder)
    rootfile = container.find(".//{*}rootfile")
    package_path = unquote(rootfile.get("full-path", "")) if rootfile is not None else ""
    if not package_path:
        raise _damaged("it names no contents")
    package = parse_xml(_text(archive, package_path), builder)
    builder.title = package.findtext(".//{http://purl.org/dc/elements/1.1/}title") or ""
    builder.language = package.findtext(".//{http://purl.org/dc/elements/1.1/}language") or ""
    base = posixpath.dirname(package_path)
    for path in _spine(package, base):
        try:
            text = _text(archive, path)
        except ParseFailure as failure:
            builder.warn(failure.error)
            continue
        read_markup(text, builder)
        builder.end_part()


def _spine(package: Any, base: str) -> list[str]:
    """Paths of the chapters in reading order."""
    items = {item.get("id"): item for item in package.iter("{*}item")}
    paths = []
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or "html" not in (item.get("media-type") or "html"):
            continue
        if "nav" in (item.get("properties") or "").split():
            continue
        paths.append(posixpath.normpath(posixpath.join(base, unquote(item.get("href", "")))))
    return list(dict.fromkeys(paths))


def _text(archive: zipfile.ZipFile, path: str) -> str:
    try:
        data = archive.read(path)
    except KeyError:
        raise ParseFailure("failed", f"The EPUB is damaged (it lacks {path})", "Download it again.") from None
    return decode(data)[0]


def _refuse_locked(archive: zipfile.ZipFile) -> None:
    """Fonts may be obfuscated; chapters that are encrypted cannot be read."""
    if "META-INF/encryption.xml" not in archive.namelist():
        return
    methods = _ALGORITHM.findall(_text(archive, "META-INF/encryption.xml"))
    if any(not _FONT_OBFUSCATION.fullmatch(method) for method in methods):
        raise ParseFailure(
            "failed", "The EPUB is locked by copy protection (DRM)", "Add a copy without copy protection."
        )
