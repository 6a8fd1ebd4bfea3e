"""The context as a stream of token ids, and where passages end in it."""

from __future__ import annotations

from collections.abc import Iterator

from app.chain import Entry, Plan
from app.services import Services
from storage import documents, passages


class TokensChangedError(Exception):
    """A document has another number of tokens now than when it was stored (another tokenizer version)."""


class Feed:
    """Ids and passage ends of a plan from a position on; one document's text in memory at a time."""

    def __init__(self, services: Services, plan: Plan, position: int) -> None:
        self._services = services
        self._tokenizer = services.tokenizer
        self._position = position
        self._entries = plan.entries[plan.whole(position) :]
        self.passage_ids: list[int] = []

    def ids(self) -> Iterator[int]:
        """For each document a separator and its tokens, without those before the position."""
        for entry in self._entries:
            if self._position <= entry.start:
                yield self._tokenizer.separator_id
            yield from self._tokens(entry)

    def ends(self) -> Iterator[int]:
        """Where each passage after the position ends; its id is put into `passage_ids` at the same index."""
        for entry in self._entries:
            with self._services.database.session() as s:
                ends = [(row.id, row.token_end) for row in passages.list_passages(s, entry.document_id)]
            for passage_id, token_end in ends:
                if entry.start + 1 + token_end > self._position:
                    self.passage_ids.append(passage_id)
                    yield entry.start + 1 + token_end

    def _tokens(self, entry: Entry) -> Iterator[int]:
        with self._services.database.session() as s:
            text = documents.document_text(s, entry.document_id)
        skip, count = max(0, self._position - entry.start - 1), 0
        for segment in self._tokenizer.iter_encode(text):
            count += len(segment.ids)
            if count > entry.tokens:
                raise TokensChangedError(entry.name)
            yield from segment.ids[max(0, skip - count + len(segment.ids)) :].tolist()
        if count != entry.tokens:
            raise TokensChangedError(entry.name)
