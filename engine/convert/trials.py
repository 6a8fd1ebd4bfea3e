"""Development questions with the evidence they are asked of: the right passage among hard neighbours."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.convert.data import Passage, Question, read_eval
from engine.evidence import Evidence
from engine.sentences import content_terms


@dataclass(frozen=True, slots=True)
class Trial:
    """A question, `evidence` in random order, and the id of the right passage (None: none answers it)."""

    question: str
    answers: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    gold: int | None


def read_trials(data: Path, name: str, limit: int, passages: int = 3, seed: int = 0) -> list[Trial]:
    """Up to `limit` questions of the development set `name`, half of them unanswerable where the set has such
    (asked of the passage that comes closest), each with `passages` passages: its own and those that share
    most words with the question.
    """
    held, questions = read_eval(data, name)
    draw = random.Random(f"{seed}:{name}")
    absent = [q for q in questions if not q.answers]
    present = [q for q in questions if q.answers and q.specific >= 1] or [q for q in questions if q.answers]
    some = draw.sample(absent, min(len(absent), limit // 2))
    chosen = some + draw.sample(present, min(len(present), limit - len(some)))
    terms = [frozenset(content_terms(f"{p.title} {p.text}")) for p in held]
    place = {p.cid: i for i, p in enumerate(held)}
    return [_trial(q, held, terms, place[q.cid], passages, draw) for q in chosen]


def _trial(
    item: Question,
    held: Sequence[Passage],
    terms: Sequence[frozenset[str]],
    own: int,
    passages: int,
    draw: random.Random,
) -> Trial:
    asked = frozenset(content_terms(item.question))
    near = sorted((i for i in range(len(held)) if i != own), key=lambda i: -len(asked & terms[i]))
    # A neighbour that holds the answer too would be no distractor.
    golds = [a.casefold() for a in item.answers]
    others = [i for i in near[:40] if not any(g in held[i].text.casefold() for g in golds)]
    places = [own, *others[: passages - 1]]
    draw.shuffle(places)
    evidence = tuple(Evidence(i, held[i].title or held[i].doc, "", held[i].text) for i in places)
    return Trial(item.question, item.answers, evidence, own if item.answers else None)
