"""Keeps an archive's token counts those of one tokenizer; another model's tokenizer recounts them."""

from __future__ import annotations

import numpy as np

from app.services import Services
from app.task import Task
from engine.tokenizer import Tokenizer
from storage import Document, documents, passages, settings


def _key(archive_id: int) -> str:
    return f"tokenizer:{archive_id}"


def agree_on_tokenizer(services: Services, task: Task, archive_id: int, *, again: bool = False) -> None:
    """Have every token count of the archive made by the tokenizer in use; `again` distrusts them all."""
    ours = services.tokenizer.fingerprint
    with services.database.session() as s:
        theirs = settings.get_setting(s, _key(archive_id))
        rows = documents.reading_order(s, archive_id) if theirs != ours or again else []
    for done, row in enumerate(rows):
        task.between()
        task.progress(done, len(rows), "documents", f"counting tokens of {row.name}")
        _recount(services, row)
    if theirs != ours:
        with services.database.session() as s:
            settings.set_setting(s, _key(archive_id), ours)


def _recount(services: Services, row: Document) -> None:
    with services.database.session() as s:
        text = documents.document_text(s, row.id)
    starts = token_starts(services.tokenizer, text)
    with services.database.session() as s:
        document = documents.get_document(s, row.id)
        document.tokens = len(starts)
        spans = passages.list_passages(s, row.id)
        edges = np.searchsorted(starts, [span.start for span in spans] + [len(text)]).tolist()
        for span, begin, end in zip(spans, edges, edges[1:], strict=False):
            span.token_start, span.token_end = begin, end


def token_starts(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """Character offset of each token of `text`, ascending, int64."""
    parts = [segment.starts for segment in tokenizer.iter_encode(text)]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
