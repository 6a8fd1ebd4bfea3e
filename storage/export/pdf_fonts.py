"""Fonts for a PDF: those of this machine first, then what every PDF reader brings along."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont

# The text font is the first pair found (regular, bold); Vera comes with reportlab and has no Greek.
_TEXT = (
    ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    ("NotoSans-Regular.ttf", "NotoSans-Bold.ttf"),
    ("LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf"),
    ("Arial.ttf", "Arial Bold.ttf"),
    ("arial.ttf", "arialbd.ttf"),
    ("Vera.ttf", "VeraBd.ttf"),
)
# Asked for what the text font lacks. reportlab reads TrueType outlines only, so Noto's CJK files are no use.
_MORE = (
    "Arial Unicode.ttf", "arialuni.ttf", "wqy-zenhei.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf",
    "simsun.ttc", "msgothic.ttc", "malgun.ttf", "NotoSansHebrew-Regular.ttf", "NotoSansArabic-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf", "seguisym.ttf", "NotoSansMath-Regular.ttf",
)  # fmt: skip
_HANGUL, _KANA, _HAN = "HYSMyeongJo-Medium", "HeiseiMin-W3", "STSong-Light"
BOX = "□"


@dataclass(frozen=True, slots=True)
class Fonts:
    """Registered names: the text font, its bold, and others by preference with the characters they have."""

    text: str
    bold: str
    fonts: tuple[tuple[str, frozenset[int]], ...]

    def name_for(self, letter: str) -> str | None:
        """The font that draws a character; None when no font does."""
        code = ord(letter)
        for name, has in self.fonts:
            if code in has:
                return name
        return _brought_along(code)


@cache
def load_fonts() -> Fonts:
    """Find and register the fonts of this machine; once a process."""
    found = dict(_files())
    regular, bold = next(pair for pair in _TEXT if all(name in found for name in pair))
    fonts = [font for name in (regular, *_MORE) if name in found and (font := _register(name, found[name]))]
    heavy = _register(bold, found[bold])
    return Fonts(fonts[0][0], heavy[0] if heavy else fonts[0][0], tuple(fonts))


def runs(text: str, fonts: Fonts) -> Iterator[tuple[str | None, str]]:
    """The text cut where the font changes: (font, characters); font None for characters nobody can draw."""
    chosen = ((fonts.fonts[0][0] if letter in " \n\t" else fonts.name_for(letter), letter) for letter in text)
    for name, letters in groupby(chosen, key=lambda pair: pair[0]):
        yield name, "".join(letter for _, letter in letters)


def _register(name: str, path: Path) -> tuple[str, frozenset[int]] | None:
    own = f"Engram-{Path(name).stem}"
    try:
        font: Any = TTFont(own, str(path))
    except (TTFError, OSError, ValueError):
        return None
    pdfmetrics.registerFont(font)
    return own, frozenset(font.face.charToGlyph)


def _brought_along(code: int) -> str | None:
    """CJK fonts that a PDF only names: the reader has them or fetches them."""
    if 0x1100 <= code <= 0x11FF or 0x3130 <= code <= 0x318F or 0xAC00 <= code <= 0xD7A3:
        name = _HANGUL
    elif 0x3040 <= code <= 0x30FF:
        name = _KANA
    elif 0x3000 <= code <= 0x303F or 0x4E00 <= code <= 0x9FFF or 0xFF01 <= code <= 0xFF60:
        name = _HAN
    else:
        return None
    _register_named(name)
    return name


@cache
def _register_named(name: str) -> None:
    pdfmetrics.registerFont(UnicodeCIDFont(name))


def _files() -> Iterator[tuple[str, Path]]:
    """Font files by name; those of this machine win over reportlab's own."""
    import reportlab

    for folder in (Path(reportlab.__file__).parent / "fonts", *reversed(_folders())):
        for path in sorted(folder.rglob("*.tt[fc]")) if folder.is_dir() else ():
            yield path.name, path


def _folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        own = Path(os.environ.get("LOCALAPPDATA", str(home))) / "Microsoft" / "Windows" / "Fonts"
        return [own, Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    return [
        home / ".local/share/fonts",
        home / ".fonts",
        Path("/usr/local/share/fonts"),
        Path("/usr/share/fonts"),
    ]
