"""Bytes to characters: byte order mark, then UTF-8, then a guess; what cannot be decoded is counted."""

from __future__ import annotations

import codecs
import re

from storage.ingest.parsed import ParseFailure

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 256 * 1024
_GUESSES = (
    "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 koi8_r cp866 iso8859_2 iso8859_15 "
    "cp932 euc_jp iso2022_jp gb18030 big5 euc_kr cp949 cp874 mac_roman cp437"
).split()
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_VALID_MULTIBYTE = re.compile(rb"[\xc3-\xf4][\x80-\xbf]+")
_WESTERN_MARKS = frozenset("€‚„…‘’“”•–—™«»§°·¿¡£©®±²³µ¶½¼¾¹º×ªˆ‰†‡\xa0\xad´¨¸")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def decode(data: bytes, declared: str = "") -> tuple[str, list[str]]:
    """Return (text, warnings). `declared`: the encoding that the file names; UTF-8 still comes first."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _replace_undecodable(data[len(mark) :], encoding)
    encoding = _wide_without_mark(data[:_SAMPLE])
    if encoding:
        return _replace_undecodable(data, encoding)
    _refuse_binary(data[:_SAMPLE])
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError:
        pass
    encoding = _known(declared) or _guess(data)
    text, warnings = _replace_undecodable(data, encoding)
    if encoding != "utf-8" and not declared:
        warnings.insert(0, f"not UTF-8: read as {encoding} (guessed); accented letters may be wrong")
    return text, warnings


def _replace_undecodable(data: bytes, encoding: str) -> tuple[str, list[str]]:
    try:
        return data.decode(encoding), []
    except UnicodeDecodeError:
        text = data.decode(encoding, errors="replace")
    already = data.count(REPLACEMENT.encode("utf-8")) if encoding == "utf-8" else 0
    count = text.count(REPLACEMENT) - already
    noun = "place" if count == 1 else "places"
    return text, [f"bytes that are not valid {encoding} replaced in {count:,} {noun}"]


def _wide_without_mark(sample: bytes) -> str:
    """UTF-16 of mostly Latin text has a zero in every other byte."""
    pairs = len(sample) // 2
    if pairs < 2 or b"\x00" not in sample:
        return ""
    even, odd = sample[0 : 2 * pairs : 2].count(0), sample[1 : 2 * pairs : 2].count(0)
    if odd > 0.4 * pairs and even < 0.05 * pairs:
        return "utf-16-le"
    if even > 0.4 * pairs and odd < 0.05 * pairs:
        return "utf-16-be"
    return ""


def _refuse_binary(sample: bytes) -> None:
    controls = len(_CONTROL.findall(sample))
    if controls > 8 and controls > 0.02 * len(sample):
        raise ParseFailure(
            "failed",
            "The file is not text: it holds binary data of a kind Engram does not know",
            "Export it as PDF, DOCX or plain text and add that.",
        )


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name if encoding else ""
    except LookupError:
        return ""


def _guess(data: bytes) -> str:
    """UTF-8 with a few broken bytes stays UTF-8; else Windows Western if it fits; else charset-normalizer."""
    start = next((i for i in range(0, len(data), 4096) if not data[i : i + 4096].isascii()), 0)
    sample = data[start : start + _SAMPLE]
    high = sum(1 for byte in sample if byte >= 0x80)
    valid = sum(len(match) for match in _VALID_MULTIBYTE.findall(sample) if _is_utf8(match))
    if valid > 0.5 * high:
        return "utf-8"
    if high <= 0.3 * len(sample) and _fits_western(sample):
        return "cp1252"
    from charset_normalizer import from_bytes  # 80 ms of import, needed for few files

    best = from_bytes(sample, cp_isolation=_GUESSES).best()
    if best is None:
        return "utf-8"
    return str(best.encoding)


def _is_utf8(piece: bytes) -> bool:
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _fits_western(sample: bytes) -> bool:
    """Every byte above ASCII is a letter or mark of Western texts (a "³" inside a word is neither)."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    for match in re.finditer(r"[^\x00-\x7f]", text):
        character = match.group()
        before = text[match.start() - 1 : match.start()]
        after = text[match.end() : match.end() + 1]
        inside_word = before.isalpha() and after.isalpha()
        if not (character.isalpha() or character in _WESTERN_MARKS):
            return False
        if inside_word and not character.isalpha() and character not in "’‘·\xad—–":
            return False
    return True
