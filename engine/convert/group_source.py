"""Training groups drawn from passages and questions: what stands together, and what is not answered there."""

import random
from collections.abc import Iterator, Mapping, Sequence

from engine.convert.data import Passage, Question
from engine.convert.examples import Branch, Group, GroupSettings, build
from engine.sentences import content_terms
from engine.tokenizer import Tokenizer


class GroupSource:
    """Draws groups without end from passages and questions; the same seed gives the same groups.

    `near`: for passages (by id) those that recall finds in their place. They stand beside them as
    distractors, and lend them questions to refuse; other passages have neighbours of the same document.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        passages: Mapping[str, Passage],
        questions: Sequence[Question],
        settings: GroupSettings,
        seed: int,
        near: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._tokenizer, self._passages, self._settings, self._seed = tokenizer, passages, settings, seed
        self._asked: dict[str, list[Question]] = {}
        self._absent: dict[str, list[Question]] = {}
        for item in questions:
            if item.cid in passages:
                (self._asked if item.answers else self._absent).setdefault(item.cid, []).append(item)
        self._found = {
            cid: [other for other in others if other in self._asked] for cid, others in (near or {}).items()
        }
        self._family: dict[str, list[str]] = {}
        for cid in self._asked:
            self._family.setdefault(_family(passages[cid]), []).append(cid)
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
        near = self._neighbours(cid, draw)
        if draw.random() < s.several and near:
            chosen += near[: s.passages - 1]
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

    def _neighbours(self, cid: str, draw: random.Random) -> list[str]:
        """Passages easily taken for this one, that do not answer its questions: found by recall in random
        order, else of the same document, by shared words.
        """
        golds = [q.answers[0].casefold() for q in self._asked[cid]]
        found = [
            other
            for other in self._found.get(cid, ())
            if not any(gold in self._passages[other].text.casefold() for gold in golds)
        ]
        if found:
            return draw.sample(found, len(found))
        family = self._family[_family(self._passages[cid])]
        others = [other for other in draw.sample(family, min(len(family), 12)) if other != cid]
        return sorted(others, key=lambda other: -_overlap(self._passages[cid], self._passages[other]))

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
        family = self._family[_family(self._passages[chosen[0]])]
        for other in dict.fromkeys([*near, *draw.sample(family, min(len(family), 16))]):
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
