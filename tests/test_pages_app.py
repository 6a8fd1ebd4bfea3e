"""The page server as a whole: navigation, configuration, no torch, the sample archive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from page_driver import ROOT, press
from page_seeds import Seeds
from streamlit.testing.v1 import AppTest

from app.view.sample import FOLDER, is_sample, sample
from storage.ingest import SUPPORTED, expand, parse

PAGES = ("library", "ask", "matrix", "findings", "spikes", "machine", "help")
VISIT = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("streamlit_app.py", default_timeout=60).run()
titles = [app.title[0].value]
for name in ("ask", "matrix", "findings", "spikes", "machine", "help"):
    app.switch_page(f"app/pages/{name}.py").run()
    assert not app.exception, app.exception
    titles.append(app.title[0].value)
print(titles, sorted(m for m in ("torch", "transformers", "triton") if m in sys.modules))
"""


def test_every_page_opens_and_none_imports_torch() -> None:
    Seeds().archive()
    visit = subprocess.run(
        [sys.executable, "-c", VISIT],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert visit.returncode == 0, visit.stderr[-2000:]
    assert visit.stdout.strip().endswith(
        "['Library', 'Ask', 'Matrix', 'Findings', 'Spikes', 'Engine', 'Help'] []"
    )


def test_the_library_leads_to_the_ask_page() -> None:
    seeds = Seeds()
    seeds.lease(seeds.archive())
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=30).run()
    (link,) = app.get("page_link")
    assert (link.proto.label, link.proto.page) == ("Ask this archive", "ask")
    assert not app.exception


def test_the_server_stays_on_this_machine_and_sends_no_telemetry() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["server"]["address"] == "127.0.0.1"
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showErrorDetails"] == "none"
    assert config["client"]["disableDataExport"] is True


def test_look_refers_to_nothing_outside_this_machine() -> None:
    looks = [path for path in (ROOT / "assets").glob("*") if path.suffix in (".css", ".svg")]
    assert looks
    for path in looks:
        addresses = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http" not in addresses


def test_pages_hide_no_package() -> None:
    packages = {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert not packages & {path.stem for path in (ROOT / "app" / "pages").glob("*.py")}


def test_pages_draw_only() -> None:
    for name in PAGES:
        source = (ROOT / "app" / "pages" / f"{name}.py").read_text(encoding="utf-8")
        assert "sqlalchemy" not in source
        assert ".session()" not in source


def test_the_sample_is_a_dozen_documents_of_three_domains() -> None:
    names = [name for _, name in expand(sorted(FOLDER.iterdir()))]
    assert len(names) == 12
    assert {name.split("/")[0] for name in names} == {"legal", "medical", "physics"}
    assert {Path(name).suffix for name in names} == {".txt", ".md", ".html", ".docx", ".pdf"}
    assert all(Path(name).suffix in SUPPORTED for name in names)


@pytest.fixture(scope="module")
def sample_texts() -> dict[str, str]:
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            text = parse(path, path.name).text
            found[str(path.relative_to(FOLDER))] = " ".join(text.replace("\u202f", " ").split())
    return found


def test_every_suggested_question_is_answered_by_its_document(sample_texts: dict[str, str]) -> None:
    for entry in sample().questions:
        assert entry.answer in sample_texts[entry.document], entry.question


def test_tricky_facts_stand_side_by_side(sample_texts: dict[str, str]) -> None:
    assert "six months" in sample_texts["legal/lease-12-harbour-street.md"]
    assert "three months to the end of a month" in sample_texts["legal/lease-21-harbour-street.md"]
    assert "40 mg once daily" in sample_texts["medical/cardelin-protocol.md"]
    assert "from 40 mg to 25 mg" in sample_texts["medical/cardelin-amendment-3.txt"]


def test_sample_questions_are_well_formed() -> None:
    data = json.loads((FOLDER.parent / "questions.json").read_text(encoding="utf-8"))
    assert {entry["domain"] for entry in data["questions"]} == {"law", "medicine", "physics"}
    assert is_sample("Sample archive")
    assert is_sample("Sample archive 2")
    assert not is_sample("Samples")


def test_with_a_password_set_nothing_is_shown_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAM_PASSWORD", "open sesame")
    monkeypatch.setattr("app.view.gate.WRONG_S", 0.0)
    Seeds().archive("Secret leases")
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=30).run()
    assert app.title[0].value == "Engram"
    app.text_input(key="password").set_value("guess")
    press(app, "Open")
    assert "not the password" in app.error[0].value
    assert not app.selectbox
    app.text_input(key="password").set_value("open sesame")
    press(app, "Open")
    assert app.title[0].value == "Library"
