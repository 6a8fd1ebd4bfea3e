"""Exact match, F1 and containment of answers, as SQuAD scores them (Rajpurkar et al. 2016)."""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "“”‘’")


def normal(text: str) -> str:
    """Lower case, without punctuation and articles, single blanks."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(answer: str, golds: Sequence[str]) -> float:
    """1 if the answer equals a gold answer."""
    return float(any(normal(answer) == normal(gold) for gold in golds))


def contains(answer: str, golds: Sequence[str]) -> float:
    """1 if a gold answer stands in the answer."""
    padded = f" {normal(answer)} "
    return float(any(f" {normal(gold)} " in padded for gold in golds if normal(gold)))


def f1(answer: str, golds: Sequence[str]) -> float:
    """Best harmonic mean of word precision and recall over the gold answers."""
    return max((_f1(normal(answer).split(), normal(gold).split()) for gold in golds), default=0.0)


def _f1(said: list[str], gold: list[str]) -> float:
    common = sum((Counter(said) & Counter(gold)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(gold)
    return 2 * precision * recall / (precision + recall)
