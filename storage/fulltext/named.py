"""Questions that name a document: its names find it, the rest of the question finds the place in it.

A contract names its parties on page one, and the clause asked for is on page nine: by all words together,
page one comes first. Where names stand in few documents, those documents are ranked by the other words too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from storage.fulltext.terms import QueryTerms

FEW = 5
FEW_OF = 50  # or one in fifty documents
DEPTH = 60
_RANK = 20.0
_WEIGHT = 0.5
_NEARLY = 0.6
Found = list[tuple[int, float]]


def named_documents(
    names: Sequence[tuple[str, str]], documents: int, holding: Callable[[str, int], Sequence[int]]
) -> tuple[list[int], list[tuple[str, str]]]:
    """The documents that most of the telling names stand in, and those names.

    `holding(phrase, most)` lists documents with a phrase, at most one more than `most`; `documents`: how many
    there are.
    """
    few = max(FEW, documents // FEW_OF)
    votes: dict[int, int] = {}
    telling = []
    for name in names:
        found = holding(" ".join(name), few)
        if 0 < len(found) <= few:
            telling.append(name)
            for document in found:
                votes[document] = votes.get(document, 0) + 1
    most = max(votes.values(), default=0)
    return [document for document, count in votes.items() if count >= _NEARLY * most], telling


def fuse_named(by_all: Found, within: Found, limit: int) -> Found:
    """Passages by their ranks in both lists; one alone in its document has nothing to be told from."""
    scores = {key: 1 / (_RANK + rank) for rank, (key, _) in enumerate(by_all)}
    if len(within) > 1:
        for rank, (key, _) in enumerate(within):
            scores[key] = scores.get(key, 0.0) + _WEIGHT / (_RANK + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


def rest_of(terms: QueryTerms, telling: Sequence[tuple[str, str]]) -> QueryTerms | None:
    """What is asked of the named documents; None where nothing but names is."""
    rest = terms.without_names(telling)
    return rest if rest.words or rest.grams else None
