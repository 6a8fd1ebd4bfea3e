"""Download buttons for a matrix."""

import tempfile
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from app.view.frame import services
from app.view.matrix_data import Held
from storage import Archive, matrices
from storage.export.matrix_file import export_matrix, to_matrix_record

FORMATS = {
    "xlsx": ("XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "csv": ("CSV", "text/csv"),
    "json": ("JSON", "application/json"),
}


def matrix_bytes(matrix_id: int, archive: str, suffix: str, address: str) -> bytes:
    """The matrix in one format, with quotes, coverage and provenance; links lead to `address`."""
    with services().database.session() as s:
        matrix, table = matrices.get_matrix(s, matrix_id), matrices.load_table(s, matrix_id)
        models = matrices.models_used(s, matrix_id)
    record = to_matrix_record(matrix, table, archive, models, address)
    with tempfile.TemporaryDirectory() as folder:
        return export_matrix(record, Path(folder) / f"matrix.{suffix}").read_bytes()


def page_address() -> str:
    """Where these pages are served."""
    parts = urlsplit(st.context.url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "http://127.0.0.1:8501"


def draw_exports(held: Held, archive: Archive) -> None:
    """A button for each format; a large table is made when it is asked for."""
    address = page_address()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="matrix_exports"):
        st.html('<p class="eg-label">Export</p>', width="content")
        for suffix, (words, media_type) in FORMATS.items():
            st.download_button(
                words,
                data=partial(matrix_bytes, held.matrix.id, archive.name, suffix, address),
                file_name=f"engram-matrix.{suffix}",
                mime=media_type,
                key=f"matrix_{suffix}",
                icon=":material/download:",
                on_click="ignore",
                help=f"The whole table with quotes, coverage and provenance as {words}",
            )
