"""What a screen reader says: every control has a name, every picture a text or is marked as ornament."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from page_driver import html_of, open_page
from page_seeds import Seeds
from streamlit.testing.v1 import AppTest

CONTROLS = (
    "button",
    "button_group",
    "checkbox",
    "chat_input",
    "date_input",
    "download_button",
    "file_uploader",
    "multiselect",
    "number_input",
    "radio",
    "selectbox",
    "slider",
    "text_area",
    "text_input",
    "toggle",
)
PAGES = ("ask", "findings", "help", "library", "machine", "matrix", "spikes")


@pytest.fixture(params=["fresh", "in use"])
def home(request: pytest.FixtureRequest) -> None:
    """A fresh home, and one with an archive that was read and an answered question."""
    seeds = Seeds()
    if request.param == "in use":
        seeds.finding(seeds.archive())


def nameless(page: AppTest) -> Iterator[str]:
    """Kinds of the controls that have no words to be called by; an icon is no word."""
    for kind in CONTROLS:
        for element in page.get(kind):
            label = getattr(element.proto, "label", "") or getattr(element.proto, "placeholder", "")
            if not re.sub(r":material/\w+:", "", label).strip():
                yield kind


@pytest.mark.parametrize("name", PAGES)
def test_every_control_has_a_name(home: None, name: str) -> None:
    page = open_page(name)
    assert not page.exception
    assert not list(nameless(page))


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_has_a_text_or_is_ornament(home: None, name: str) -> None:
    for tag in re.findall(r"<(?:svg|img)\b[^>]*>", html_of(open_page(name))):
        assert re.search(r"\balt=|aria-label=|aria-hidden=.true|role=.presentation", tag), tag


def test_a_control_without_a_name_is_found_out() -> None:
    page = AppTest.from_string(
        "import streamlit as st; st.button(':material/close:'); st.button('Close')"
    ).run()
    assert list(nameless(page)) == ["button"]
