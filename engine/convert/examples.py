"""Grounded question answering as training groups: passages read once, several questions branching off.

A group is a trunk (perhaps earlier text of the archive, then numbered passages) and branches (a question and
its answer each). A branch sees the trunk and itself, so one reading of the passages teaches many questions.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.convert.data import Passage
from engine.grounded import ANSWER, NO_ANSWER, citation, numbered, question_text
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
    several: float = 0.1
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
