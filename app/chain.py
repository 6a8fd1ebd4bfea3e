"""The order of an archive's context, and which saved states still belong to it."""

from __future__ import annotations

import bisect
import hashlib
from dataclasses import dataclass

from sqlalchemy.orm import Session

from storage import Checkpoint, documents


@dataclass(frozen=True, slots=True)
class Entry:
    """A document's stretch of the context: one separator token at `start`, then its `tokens`."""

    document_id: int
    name: str
    sha256: str
    tokens: int
    start: int

    @property
    def end(self) -> int:
        """Where the next document's separator stands."""
        return self.start + 1 + self.tokens


class Plan:
    """Every document that has text, in the order of the context.

    The hash over the first i documents is H_i = sha256(H_(i-1) + document sha256 + ":" + tokens), H_0 = "".
    """

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.total = entries[-1].end if entries else 0
        self._starts = [entry.start for entry in entries]
        self._chain = [""]
        for entry in entries:
            link = f"{self._chain[-1]}{entry.sha256}:{entry.tokens}"
            self._chain.append(hashlib.sha256(link.encode()).hexdigest())

    @classmethod
    def load(cls, s: Session, archive_id: int) -> Plan:
        """The plan as the database has it now."""
        entries, start = [], 0
        for row in documents.reading_order(s, archive_id):
            entry = Entry(row.id, row.name, row.sha256, row.tokens, start)
            entries.append(entry)
            start = entry.end
        return cls(tuple(entries))

    def touched(self, tokens: int) -> int:
        """How many documents the first `tokens` tokens reach into, the partly read one included."""
        return bisect.bisect_left(self._starts, tokens)

    def whole(self, tokens: int) -> int:
        """How many documents the first `tokens` tokens hold to their end."""
        touched = self.touched(tokens)
        return touched if not touched or self.entries[touched - 1].end <= tokens else touched - 1

    def chain(self, tokens: int) -> str:
        """The hash over every document that `tokens` tokens touch."""
        return self._chain[self.touched(tokens)]

    def continues(self, older: Plan, tokens: int) -> bool:
        """Whether a state of `tokens` tokens read under `older` is a prefix of this plan too."""
        return tokens <= self.total and self.chain(tokens) == older.chain(tokens)

    def accepts(self, checkpoint: Checkpoint) -> bool:
        """Whether a saved state is a prefix of this plan."""
        return 0 < checkpoint.tokens <= self.total and checkpoint.chain == self.chain(checkpoint.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self._chain[-1])
