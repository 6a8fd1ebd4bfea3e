"""The image of a cited PDF page, drawn by a child process and kept for the next look."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[2]
WALL_SECONDS = 30


@dataclass(frozen=True, slots=True)
class PageImage:
    """A drawn page; `located` tells whether the quote was found on it and boxed."""

    png: bytes
    located: bool


@st.cache_data(max_entries=48, show_spinner=False)
def page_image(path: str, page: int, quote: str, occurrence: int = 0) -> PageImage | None:
    """Page `page` of the PDF at `path` with the quote boxed; None when the page cannot be drawn."""
    request = json.dumps({"path": path, "page": page, "quote": quote, "occurrence": occurrence})
    command = [sys.executable, "-m", "app.view.pdf_page"]
    try:
        reply = subprocess.run(
            command, input=request.encode(), capture_output=True, cwd=ROOT, timeout=WALL_SECONDS, check=False
        )
    except (subprocess.TimeoutExpired, OSError):
        return None
    if reply.returncode != 0:
        return None
    head, _, png = reply.stdout.partition(b"\n")
    return PageImage(png, json.loads(head)["boxes"] > 0)
