"""Grounded question answering as training groups: passages read once, several questions branching off.

A group is a trunk (perhaps earlier text of the archive, then numbered passages) and branches (a question and
its answer each). A branch sees the trunk and itself, so one reading of the passages teaches many questions.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.convert.data import Passage, Question
from engine.grounded import ANSWER, NO_ANSWER, citation, numbered, question_text
from engine.sentences import content_terms
from engine.tokenizer import Tokenizer

ANSWER_TOKENS = 48
IGNORE = -1


@dataclass(frozen=True, slots=True)
class Branch:
    """One question; `answer` is None where the passages do not have it, else `passage` (from 0) says it.
    `expected`: the question itself is to be predicted too.
    """

    question: str
    answer: str | None
    passage: int = 0
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Tokens of a trunk and its branches, all [T]: `branch` is 0 in the trunk; `targets` is what a token must
    predict (IGNORE: nothing), `weights` how much that counts.
    """

    ids: Tensor
    positions: Tensor
    branch: Tensor
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How groups are drawn: shares are probabilities, counts are upper limits."""

    questions: int = 8
    absent: int = 3
    least: int = 4
    several: float = 0.2
    passages: int = 3
    earlier: float = 0.1
    earlier_tokens: int = 160
    question_weight: float = 0.3
    question_share: float = 0.34


def build(
    tokenizer: Tokenizer,
    passages: Sequence[Passage],
    branches: Sequence[Branch],
    earlier: str = "",
    settings: GroupSettings | None = None,
) -> Group:
    """The group of these passages and questions; `earlier` is text that stands before them in the context."""
    settings = settings or GroupSettings()
    separator = tokenizer.separator_id
    trunk = [separator]
    if earlier:
        trunk += [*tokenizer.encode(earlier)[: settings.earlier_tokens], separator]
    trunk += numbered(tokenizer, [(p.title, p.text) for p in passages])
    ids, owners, places = list(trunk), [0] * len(trunk), list(range(len(trunk)))
    targets, weights = [IGNORE] * len(trunk), [0.0] * len(trunk)
    for number, item in enumerate(branches, start=1):
        asked = question_text(tokenizer, item.question)
        answer, whole = _answer(tokenizer, item)
        tokens = [*asked, *tokenizer.encode(ANSWER), *answer]
        first = len(asked) + len(tokenizer.encode(ANSWER)) - 1
        likely = settings.question_weight if item.expected else 0.0
        for i in range(len(tokens)):
            following = tokens[i + 1] if i + 1 < len(tokens) else None
            weight = 1.0 if i >= first else (likely if i + 1 < len(asked) else 0.0)
            if following is None or not weight:
                targets.append(IGNORE)
                weights.append(0.0)
            else:
                targets.append(following)
                weights.append(weight)
        if not whole:  # a cut answer must not teach to stop there
            targets[-2], weights[-2] = IGNORE, 0.0
        ids += tokens
        owners += [number] * len(tokens)
        places += range(len(trunk), len(trunk) + len(tokens))
    return Group(
        torch.tensor(ids),
        torch.tensor(places),
        torch.tensor(owners),
        torch.tensor(targets),
        torch.tensor(weights),
    )


def with_prose(group: Group, share: float, weight: float, draw: random.Random) -> Group:
    """The group with the next token to be predicted, counting `weight`, at a random `share` of the trunk, so
    that learning to answer does not unlearn prose.
    """
    targets, weights = group.targets.clone(), group.weights.clone()
    trunk = int((group.branch == 0).sum())
    places = torch.tensor([i for i in range(trunk - 1) if draw.random() < share], dtype=torch.long)
    targets[places], weights[places] = group.ids[places + 1], weight
    return replace(group, targets=targets, weights=weights)


def _answer(tokenizer: Tokenizer, item: Branch) -> tuple[list[int], bool]:
    """Tokens of an answer with its end, and whether it is whole."""
    end = [tokenizer.separator_id]
    if item.answer is None:
        return [*tokenizer.encode(NO_ANSWER), *end], True
    words = tokenizer.encode(f" {item.answer.strip()}")
    if len(words) <= ANSWER_TOKENS:
        return [*words, *tokenizer.encode(citation(item.passage + 1)), *end], True
    return [*words[:ANSWER_TOKENS], *end], False


class GroupSource:
    """Draws groups without end from passages and questions; the same seed gives the same groups."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        passages: Mapping[str, Passage],
        questions: Sequence[Question],
        settings: GroupSettings,
        seed: int,
    ) -> None:
        self._tokenizer, self._passages, self._settings, self._seed = tokenizer, passages, settings, seed
        self._asked: dict[str, list[Question]] = {}
        self._absent: dict[str, list[Question]] = {}
        for item in questions:
            if item.cid in passages:
                (self._asked if item.answers else self._absent).setdefault(item.cid, []).append(item)
        self._near: dict[str, list[str]] = {}
        for cid in self._asked:
            self._near.setdefault(_family(passages[cid]), []).append(cid)
        self._order = self._weighted()

    def __len__(self) -> int:
        """Passages that have questions of their own."""
        return len(self._asked)

    def __iter__(self) -> Iterator[Group]:
        epoch = 0
        while self._order:
            draw = random.Random(f"{self._seed}:{epoch}")
            order = list(self._order)
            draw.shuffle(order)
            for cid in order:
                yield self._group(cid, draw)
            epoch += 1

    def _weighted(self) -> list[str]:
        """Passages with enough questions to be worth reading: once for every `questions` asked of them, those
        with questions of people or experts always.
        """
        s, order = self._settings, []
        for cid, asked in self._asked.items():
            by_people = sum(q.kind.startswith(("human", "expert")) for q in asked)
            if by_people or len(asked) >= s.least:
                order += [cid] * max(1, round(by_people / s.questions))
        return order

    def _group(self, cid: str, draw: random.Random) -> Group:
        s = self._settings
        chosen = [cid]
        near = self._near[_family(self._passages[cid])]
        if draw.random() < s.several and len(near) > 1:
            others = [other for other in draw.sample(near, min(len(near), 12)) if other != cid]
            others.sort(key=lambda other: -_overlap(self._passages[cid], self._passages[other]))
            chosen += others[: s.passages - 1]
            draw.shuffle(chosen)
        passages = [self._passages[c] for c in chosen]
        pool = [
            (place, q)
            for place, c in enumerate(chosen)
            for q in _preferred(self._asked[c], draw)[: s.questions]
        ]
        if len(pool) > s.questions:
            pool = draw.sample(pool, s.questions)
        branches = [
            Branch(q.question, q.answers[0], place, draw.random() < s.question_share) for place, q in pool
        ]
        branches += [Branch(q.question, None) for q in self._negatives(chosen, near, passages, draw)]
        draw.shuffle(branches)
        earlier = ""
        if draw.random() < s.earlier:
            earlier = self._passages[draw.choice(self._order)].text
        return build(self._tokenizer, passages, branches, earlier, s)

    def _negatives(
        self, chosen: Sequence[str], near: Sequence[str], passages: Sequence[Passage], draw: random.Random
    ) -> list[Question]:
        """Questions that these passages do not answer: labelled ones, else of neighbours in other words."""
        wanted = draw.randint(0, self._settings.absent)
        labelled = [q for c in chosen for q in self._absent.get(c, ())] if len(chosen) == 1 else []
        found = draw.sample(labelled, min(wanted, len(labelled)))
        text = " ".join(p.text for p in passages).casefold()
        terms = set(content_terms(text))
        mined = []
        for other in draw.sample(near, min(len(near), 16)):
            if other in chosen:
                continue
            for q in self._asked[other][:4]:
                if q.specific >= 1 and q.answers[0].casefold() not in text:
                    asked = set(content_terms(q.question))
                    mined.append((len(asked & terms) / max(1, len(asked)), q))
        mined.sort(key=lambda pair: -pair[0])
        return [*found, *(q for _, q in mined[: wanted - len(found)])]


def _family(item: Passage) -> str:
    """What an archive would hold as one document."""
    return item.doc or item.title or item.cid[:4]


def _overlap(one: Passage, other: Passage) -> float:
    mine, theirs = set(content_terms(one.text)), set(content_terms(other.text))
    return len(mine & theirs) / max(1, len(mine | theirs))


def _preferred(asked: Sequence[Question], draw: random.Random) -> list[Question]:
    """In random order, questions that people asked first."""
    order = draw.sample(asked, len(asked))
    return sorted(order, key=lambda q: not q.kind.startswith(("human", "expert")))
