"""The Help page: what is read, what figures mean, the limits of the model in use, privacy."""

from __future__ import annotations

import json

from page_driver import open_page
from page_seeds import Seeds

from storage.ingest import SUPPORTED


def text_of_help() -> str:
    page = open_page("help")
    assert not page.exception
    assert not page.error
    text = page.markdown[0].value
    assert "{" not in text, "everything is filled in"
    return str(text)


def test_it_names_every_format_and_what_scans_need() -> None:
    Seeds()
    words = text_of_help()
    assert [name for name in SUPPORTED.values() if name not in words] == []
    assert "start.py setup --ocr" in words


def test_it_explains_marks_gauges_and_privacy() -> None:
    Seeds()
    words = text_of_help()
    for said in ("Privacy", "Nothing is sent anywhere", "verified", "Silent channels", "not available"):
        assert said in words


def test_the_limits_are_those_of_the_model_in_use() -> None:
    seeds = Seeds()
    folder = seeds.home.models / "default"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "engram"}))
    assert "trained on: English." in text_of_help()
    (folder / "config.json").write_text(json.dumps({"model_type": "sse_swa_moba"}))
    assert "trained on: Chinese, English." in text_of_help()
    (folder / "config.json").write_text("no json")
    assert "trained on: not known here." in text_of_help()
