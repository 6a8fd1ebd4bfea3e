"""Colours can be read by everybody: WCAG 2.1 AA contrast of text colours on every ground, day and night."""

from __future__ import annotations

import re
import tomllib
from itertools import product
from pathlib import Path

import pytest

from app.view.pdf_page import MARKER

ROOT = Path(__file__).resolve().parents[1]
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
SHEET = (ROOT / "assets" / "theme.css").read_text("utf-8")
TEXT = 4.5  # success criterion 1.4.3, text of usual size
PART = 3.0  # 1.4.11: parts of controls, and graphics that mean something
MODES = ("light", "dark")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def own(name: str, mode: str) -> str:
    """A colour of the style sheet."""
    found = re.search(rf"--eg-{name}: light-dark\((#\w{{6}}), (#\w{{6}})\)", SHEET)
    assert found, name
    return found[1 + MODES.index(mode)]


def mixed(colour: str, ground: str, share: float) -> str:
    """What color-mix(in srgb, colour share, transparent) gives on a ground."""
    pairs = [(int(colour[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(share * over + (1 - share) * under):02x}" for over, under in pairs)


def grounds(mode: str) -> list[str]:
    theme = THEME[mode]
    places = (theme, theme["sidebar"])
    named = [place[f"{name}ackgroundColor"] for place in places for name in ("b", "secondaryB")]
    return [*named, own("panel", mode)]


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_text_links_and_soft_text_can_be_read_on_every_ground(mode: str) -> None:
    theme = THEME[mode]
    colours = [theme["textColor"], theme["linkColor"], own("soft", mode), own("accent", mode)]
    poor = [
        (colour, ground, round(contrast(colour, ground), 2))
        for colour, ground in product(colours, grounds(mode))
        if contrast(colour, ground) < TEXT
    ]
    assert poor == []


@pytest.mark.parametrize("mode", MODES)
def test_chips_badges_and_marks_can_be_read(mode: str) -> None:
    theme, page = THEME[mode], THEME[mode]["backgroundColor"]
    pairs = [(theme[f"{name}TextColor"], theme[f"{name}BackgroundColor"]) for name in
             ("green", "orange", "yellow", "red", "blue", "gray")]  # fmt: skip
    for name in ("good", "warn", "bad", "soft"):  # a chip: its own colour at 9 % on the page
        pairs.append((own(name, mode), mixed(own(name, mode), page, 0.09)))
    pairs.append((own("accent", mode), mixed(own("accent", mode), page, 0.14)))  # a citation's number
    pairs.append((own("marker-ink", mode), own("marker", mode)))
    poor = [(*pair, round(contrast(*pair), 2)) for pair in pairs if contrast(*pair) < TEXT]
    assert poor == []


@pytest.mark.parametrize("mode", MODES)
def test_buttons_and_their_words_stand_out(mode: str) -> None:
    theme = THEME[mode]
    assert contrast(theme["primaryColor"], theme["backgroundColor"]) >= PART
    words = max(contrast(theme["primaryColor"], ink) for ink in ("#ffffff", "#000000"))
    assert words >= TEXT


def test_print_stays_readable_under_the_marker_pen() -> None:
    assert contrast("#000000", "#" + "".join(f"{part:02x}" for part in MARKER)) >= 7


@pytest.mark.parametrize("mode", MODES)
def test_words_on_a_primary_button_can_be_read(mode: str) -> None:
    assert contrast(own("on-primary", mode), THEME[mode]["primaryColor"]) >= TEXT
