"""Download buttons for findings."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from app.view.words import count
from storage import Finding
from storage.export import export_findings

FORMATS = {
    "md": ("Markdown", "text/markdown"),
    "docx": ("DOCX", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "json": ("JSON", "application/json"),
}
# A few findings are exported ahead of the click: a file made on the click is missed when the page is drawn
# anew in that moment. Many findings would take too long to export unasked.
AT_ONCE = 25


def export_bytes(findings: Sequence[Finding], suffix: str, archive: str) -> bytes:
    """The findings in one format, with citations, coverage and provenance."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"findings.{suffix}"
        export_findings(findings, path, archive=archive)
        return path.read_bytes()


@st.cache_data(max_entries=96, show_spinner=False)
def _cached(
    key: tuple[tuple[int, str], ...], suffix: str, archive: str, _findings: Sequence[Finding]
) -> bytes:
    return export_bytes(_findings, suffix, archive)


def _data(findings: Sequence[Finding], suffix: str, archive: str) -> bytes | Callable[[], bytes]:
    if len(findings) > AT_ONCE:
        return lambda: export_bytes(findings, suffix, archive)
    key = tuple((finding.id, str(finding.finished_at)) for finding in findings)
    return _cached(key, suffix, archive, findings)


def draw_exports(findings: Sequence[Finding], archive: str, key: str) -> None:
    """A button for each format."""
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"export_{key}", width="content"
    ):
        st.html('<p class="eg-label">Export</p>', width="content")
        for suffix, (words, media_type) in FORMATS.items():
            st.download_button(
                words,
                data=_data(findings, suffix, archive),
                file_name=f"engram-findings.{suffix}",
                mime=media_type,
                key=f"download_{suffix}_{key}",
                icon=":material/download:",
                on_click="ignore",
                help=f"{count(len(findings), 'finding')} with citations and provenance as {words}",
            )
