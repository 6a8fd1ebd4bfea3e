"""Runs a page without a browser and reads what it shows."""

from __future__ import annotations

import html
import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[1]


def open_page(name: str, **address: object) -> AppTest:
    """A page of `app/pages`, run once; `address` is what stands behind the question mark."""
    page = AppTest.from_file(str(ROOT / "app" / "pages" / f"{name}.py"), default_timeout=30)
    for key, value in address.items():
        page.query_params[key] = str(value)
    return page.run()


def html_of(page: AppTest) -> str:
    """All HTML the page draws itself, in order, without the style sheet."""
    bodies = [element.proto.body for element in page.get("html")]
    return "\n".join(body for body in bodies if "<style" not in body)


def words_of(page: AppTest) -> str:
    """The same as a person reads it."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", html_of(page))).split())


def labels(page: AppTest) -> list[str]:
    """The buttons' labels."""
    return [button.label for button in page.button]


def press(page: AppTest, label: str) -> AppTest:
    """Press the button with this label."""
    return next(button for button in page.button if button.label == label).click().run()


def notices(page: AppTest) -> str:
    """Errors, warnings and infos."""
    return "\n".join(element.value for element in [*page.error, *page.warning, *page.info])
