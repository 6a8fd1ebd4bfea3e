"""The documents of an archive as a table: state in words, pages, tokens, remarks."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.languages import language_name
from app.view.frame import services
from app.view.words import size
from storage import tags
from storage.models import Document

# status -> (mark, words); the table is a canvas, so marks are letters and cost no font download.
STATUS = {
    "queued": ("·", "queued"),
    "parsing": ("◔", "parsing"),
    "parsed": ("◑", "parsed"),
    "reading": ("◕", "reading"),
    "ready": ("✓", "read"),
    "failed": ("✕", "failed"),
    "needs_ocr": ("▣", "needs OCR"),
    "skipped": ("–", "skipped"),
}
COLOURS = {"ready": "green", "failed": "red", "needs_ocr": "orange", "reading": "blue", "parsing": "blue"}
COLUMNS = ["State", "Document", "Pages", "Tokens", "Language", "Size", "Tags", "Remark"]
ROW_PX, MAX_ROWS_SHOWN = 35, 14
NAME_PX, WIDE_NAME_PX = 250, 365  # beside remarks, and where there are none


def status_words(status: str) -> str:
    """`✓ read`, `✕ failed`, ..."""
    mark, words = STATUS.get(status, ("", status))
    return f"{mark} {words}".strip()


def remark(document: Document) -> str:
    """Why a document was not read, or what was noticed while parsing it."""
    return document.error or "; ".join(document.warnings)


def load_tags(archive_id: int) -> dict[int, list[str]]:
    """Tags by document id."""
    with services().database.session() as s:
        return tags.document_tags(s, archive_id)


def columns(documents: Sequence[Document]) -> list[str]:
    """The columns that say something: where nothing was remarked the names have the room."""
    return COLUMNS if any(remark(document) for document in documents) else COLUMNS[:-1]


def table(documents: Sequence[Document], tagged: Mapping[int, Sequence[str]] | None = None) -> pd.DataFrame:
    """One row a document; numbers stay numbers so that the columns sort; tags only if there are any."""
    own = tagged or {}
    rows: list[dict[str, Any]] = [
        {
            "State": [status_words(document.status)],
            "Document": document.name,
            "Pages": document.pages or None,
            "Tokens": document.tokens or None,
            "Language": language_name(document.language),
            "Size": size(document.bytes),
            "Tags": ", ".join(own.get(document.id, ())),
            "Remark": remark(document),
        }
        for document in documents
    ]
    any_tags = any(row["Tags"] for row in rows)
    frame = pd.DataFrame(rows, columns=[name for name in COLUMNS if any_tags or name != "Tags"])
    return frame.astype({"Pages": "Int64", "Tokens": "Int64"})


def draw_documents(
    documents: Sequence[Document], key: str, tagged: Mapping[int, Sequence[str]] | None = None
) -> list[Document]:
    """The table; returns the documents whose rows are selected."""
    chips = [status_words(status) for status in STATUS]
    colours = [COLOURS.get(status, "gray") for status in STATUS]
    column, shown = st.column_config, columns(documents)
    name_px = NAME_PX if "Remark" in shown else WIDE_NAME_PX
    event = st.dataframe(
        table(documents, tagged),
        key=_key_of_rows(key, tuple(document.id for document in documents)),
        hide_index=True,
        column_order=shown,
        height=ROW_PX * (min(len(documents), MAX_ROWS_SHOWN) + 1) + 3,
        on_select="rerun",
        selection_mode="multi-row",
        column_config={
            "State": column.MultiselectColumn(options=chips, color=colours, width=112),
            "Document": column.TextColumn(width=name_px),
            "Pages": column.NumberColumn(format="localized", width=60),
            "Tokens": column.NumberColumn(format="localized", width=75),
            "Language": column.TextColumn(width=85),
            "Size": column.TextColumn(width=75),
            "Tags": column.TextColumn(width=110),
            "Remark": column.TextColumn(width="medium"),
        },
    )
    rows = event["selection"]["rows"] if event else []
    return [documents[row] for row in rows if row < len(documents)]


def _key_of_rows(key: str, ids: tuple[int, ...]) -> str:
    """A selection is kept by row: where other documents take the rows, another key forgets it."""
    before, turn = st.session_state.get(f"rows_{key}", ((), 0))
    turn += ids[: len(before)] != before
    st.session_state[f"rows_{key}"] = (ids, turn)
    return f"{key}_{turn}" if turn else key
