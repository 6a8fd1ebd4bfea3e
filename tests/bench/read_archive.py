"""An archive that a worker has read (tests/bench/worker.py --data), and where in it answers stand."""

import json
import re
from pathlib import Path

from app.recalling import Context, find_candidates, weigh
from app.services import Services
from app.settings import Options
from engine.convert.data import Passage, Question
from engine.recall import search_codes
from storage import PassageText, archives, passages
from tests.bench.data_archive import INDEX

RERANKED = 5
LETTERS = 40
STEP = 10
SHARED = 0.3


class ReadArchive:
    """The ways of finding passages in an archive of a home folder, each as a list of passage ids."""

    def __init__(self, home: Path, name: str) -> None:
        self.services = Services(Options(home=home))
        self.files: dict[str, str] = json.loads((home / INDEX).read_text("utf-8"))
        with self.services.database.session() as s:
            self.id = archives.get_archive(s, name).id
        self.context: Context = self.services.contexts.get(self.services, self.id)

    @property
    def kind(self) -> str:
        """Whether it was read, or its passages only coded (tests/bench/shallow.py)."""
        return "read" if self.context.state.tokens_read else "coded"

    @property
    def passages(self) -> int:
        """How many compete."""
        return len(self.context.ids)

    def asked(self, questions: list[Question]) -> list[Question]:
        """Those whose passage the archive holds."""
        return [item for item in questions if item.cid in self.files]

    def by_words(self, question: str) -> list[int]:
        """Full-text search alone."""
        with self.services.database.session() as s:
            return [found for found, _ in passages.search_text(s, self.id, question, 20)]

    def by_codes(self, question: str) -> list[int]:
        """Hamming distance alone."""
        code = self.services.engine.encode_query(question)
        return self.context.ids[search_codes(self.context.codes, code, 20)[0]].tolist()

    def fused(self, question: str) -> list[int]:
        """What the product hands to the re-ranker."""
        return [item.id for item in self.candidates(question)]

    def reranked(self, question: str) -> list[int]:
        """What the product answers from, and one more."""
        ranked = weigh(self.services.engine, question, self.candidates(question), RERANKED)
        return [item.evidence.id for item in ranked]

    def candidates(self, question: str) -> list[PassageText]:
        """Passages that the product weighs for a question."""
        return find_candidates(self.services, self.context, self.id, question, None)

    def place(self, found: list[int], item: Question, gold: Passage) -> int | None:
        """The rank, from 0, of the first passage that holds the answer where the question was asked of."""
        with self.services.database.session() as s:
            texts = passages.get_passages(s, found)
        answer = letters(item.answers[0])
        for rank, one in enumerate(texts):
            there = one.document.endswith(self.files[item.cid]) and overlap(one.text, gold.text)
            if there and (item.answer_start < 0 or answer in letters(one.text)):
                return rank
        return None


def letters(text: str) -> str:
    """Letters and digits alone: what parsing and layout leave unchanged."""
    return re.sub(r"\W+", "", text).casefold()


def overlap(text: str, gold: str) -> bool:
    """Whether a good part of either text stands in the other."""
    one, other = sorted((letters(text), letters(gold)), key=len)
    pieces = [one[i : i + LETTERS] for i in range(0, max(1, len(one) - LETTERS + 1), STEP)]
    return sum(piece in other for piece in pieces) >= SHARED * len(pieces)
