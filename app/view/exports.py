"""Download buttons for findings."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.view.frame import services
from app.view.words import count
from storage import Finding
from storage.export import export_findings, load_records

OFFICE = "application/vnd.openxmlformats-officedocument"
FORMATS = {
    "pdf": ("PDF", "application/pdf"),
    "docx": ("DOCX", f"{OFFICE}.wordprocessingml.document"),
    "md": ("Markdown", "text/markdown"),
    "html": ("HTML", "text/html"),
    "xlsx": ("XLSX", f"{OFFICE}.spreadsheetml.sheet"),
    "csv": ("CSV", "text/csv"),
    "json": ("JSON", "application/json"),
}
SHOWN = ("pdf", "docx", "md")  # the others behind one button, and made only when they are asked for
# A few findings are exported ahead of the click: a file made on the click is missed when the page is drawn
# anew in that moment. Many findings would take too long to export unasked.
AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Words:
    """What stands before the findings of an export."""

    archive: str
    title: str = ""
    introduction: str = ""


def export_bytes(findings: Sequence[Finding], suffix: str, words: Words | str) -> bytes:
    """The findings in one format, with citations, coverage and provenance."""
    about = Words(words) if isinstance(words, str) else words
    with services().database.session() as s:
        records = load_records(s, findings, about.archive)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"findings.{suffix}"
        export_findings(records, path, None, about.archive, about.title, about.introduction)
        return path.read_bytes()


@st.cache_data(max_entries=96, show_spinner=False)
def _cached(
    key: tuple[object, ...], suffix: str, words: tuple[str, ...], _findings: Sequence[Finding]
) -> bytes:
    return export_bytes(_findings, suffix, Words(*words))


def _data(findings: Sequence[Finding], suffix: str, words: Words) -> bytes | Callable[[], bytes]:
    if len(findings) > AT_ONCE or suffix not in SHOWN:
        return lambda: export_bytes(findings, suffix, words)
    key = tuple((f.id, str(f.finished_at), f.note, *f.tags) for f in findings)
    return _cached(key, suffix, (words.archive, words.title, words.introduction), findings)


def draw_exports(findings: Sequence[Finding], archive: str, key: str, words: Words | None = None) -> None:
    """A button for each of the usual formats, the rest behind one."""
    about = words or Words(archive)
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"export_{key}", width="content"
    ):
        st.html('<p class="eg-label">Export</p>', width="content")
        for suffix in SHOWN:
            _button(findings, suffix, about, key)
        with st.popover("More", icon=":material/more_horiz:"):
            for suffix in (name for name in FORMATS if name not in SHOWN):
                _button(findings, suffix, about, key)


def _button(findings: Sequence[Finding], suffix: str, words: Words, key: str) -> None:
    name, media_type = FORMATS[suffix]
    st.download_button(
        name,
        data=_data(findings, suffix, words),
        file_name=f"engram-findings.{suffix}",
        mime=media_type,
        key=f"download_{suffix}_{key}",
        icon=":material/download:",
        on_click="ignore",
        help=f"{count(len(findings), 'finding')} with citations and provenance as {name}",
    )
