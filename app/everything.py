"""Everything about X: all passages that hold its words or lie near it by recall code, however many there are.

A passage qualifies by words when it holds all of them, or so many of the rarer ones that two thirds of their
weight are there (a word weighs by its rarity in the archive). It qualifies by code when its code lies nearer
than ordinary passages of this archive do; the threshold comes from the archive's own distances.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from app.inquiry import Inquiry, cite
from app.measuring import power_values
from app.recalling import Context
from storage import CitationData, FoundData, PassageText, found, passages

SHARE_NEEDED = 2 / 3
QUOTED = 300  # citations kept with the finding, for exports; the list itself has no end
RANDOM_SPREAD = math.sqrt(512) / 2  # bits: distances of two random codes of 512 bits are 256 +- 11.3
FAR_BELOW = 4.0  # spreads below the random mean
LEAST_Z = 3.0


@dataclass(frozen=True, slots=True)
class Nearness:
    """How far the archive's passages lie from a question, in bits, and what counts as near."""

    middle: float
    spread: float
    threshold: int
    bits: int

    @classmethod
    def of(cls, distances: NDArray[np.int32], bits: int) -> Nearness | None:
        """Near: so far below the middle of these distances that chance would bring fewer than half a passage
        of the archive there, and four spreads below what random codes have. None without distances.
        """
        if not len(distances):
            return None
        middle = float(np.median(distances))
        random_spread = math.sqrt(bits) / 2
        spread = max(1.4826 * float(np.median(np.abs(distances - middle))), random_spread)
        z = max(LEAST_Z, NormalDist().inv_cdf(1 - 0.5 / max(len(distances), 2)))
        threshold = min(middle - z * spread, bits / 2 - FAR_BELOW * random_spread)
        return cls(middle, spread, math.floor(threshold), bits)


def word_shares(
    holders: Mapping[str, Mapping[int, float]], passages_in_all: int
) -> dict[int, tuple[int, float, float]]:
    """For each passage: how many of the words it holds, their share by rarity, its score; by passage id."""
    weights = {word: math.log(1 + passages_in_all / (1 + len(ids))) for word, ids in holders.items()}
    whole = sum(weights.values()) or 1.0
    shares: dict[int, tuple[int, float, float]] = {}
    for word, ids in holders.items():
        for passage_id, score in ids.items():
            words, share, total = shares.get(passage_id, (0, 0.0, 0.0))
            shares[passage_id] = (words + 1, share + weights[word] / whole, total + score)
    return shares


class Everything(Inquiry):
    """One search for all there is."""

    def run(self) -> None:
        """Search by words and by code, list what qualifies, quote the most relevant of it."""
        self.load_model()
        self.say("Looking through every passage")
        with self.services.meter.measure() as power:
            context = self.services.contexts.get(self.services, self.finding.archive_id)
            words, rows, near = self._search(context)
        self.task.check()
        said, about = self._describe(words, rows, near)
        with self.services.database.session() as s:
            found.set_found(s, self.finding.id, rows)
        run = self.run_values(context) | power_values(power)
        status = "supported" if rows else "not_found"
        self.store(context, said, status, None, self._quotes(rows), run, found=about)

    def _search(self, context: Context) -> tuple[list[str], list[FoundData], Nearness | None]:
        only, archive_id = self.scope(), self.finding.archive_id
        with self.services.database.session() as s:
            holders = passages.holders(s, archive_id, self.question, only)
            everything, _ = passages.passage_documents(s, archive_id)
        shares = word_shares(holders, len(everything))
        near, distances = self._distances(context, only)
        by_code = {} if near is None else {key: d for key, d in distances.items() if d <= near.threshold}
        nothing = (0, 0.0, 0.0)
        kept = [key for key, (_, share, _) in shares.items() if share >= SHARE_NEEDED - 1e-9]
        chosen = dict.fromkeys([*kept, *by_code])
        ordered = sorted(chosen, key=lambda key: _order(shares.get(key, nothing), by_code.get(key), key))
        rows = [FoundData(key, *shares.get(key, nothing)[:2], distance=by_code.get(key)) for key in ordered]
        return list(holders), rows, near

    def _distances(
        self, context: Context, only: Sequence[int] | None
    ) -> tuple[Nearness | None, dict[int, int]]:
        """Of every coded passage from the question; what is near is told from the whole archive."""
        from engine.recall import search_codes

        engine = self.services.engine
        if not engine.code_bits or not len(context.ids):
            return None, {}
        rows, distances = search_codes(context.codes, engine.encode_query(self.question), len(context.codes))
        ids = context.ids[rows]
        near = Nearness.of(distances, engine.code_bits)
        if only is not None:
            with self.services.database.session() as s:
                inside, _ = passages.load_codes(s, self.finding.archive_id, engine.fingerprint, only)
            kept = np.isin(ids, inside)
            ids, distances = ids[kept], distances[kept]
        return near, dict(zip(ids.tolist(), distances.tolist(), strict=True))

    def _describe(
        self, words: list[str], rows: list[FoundData], near: Nearness | None
    ) -> tuple[str, dict[str, object]]:
        """The result in a sentence, and its figures."""
        whole = sum(row.words == len(words) and bool(words) for row in rows)
        by_code_only = sum(row.share < SHARE_NEEDED - 1e-9 for row in rows)
        with self.services.database.session() as s:
            places = passages.passage_places(s, [row.passage_id for row in rows])
        listed = {place["document_id"] for place in places.values()}
        figures: dict[str, object] = {"passages": len(rows), "documents": len(listed), "words": words}
        figures |= {"every_word": whole, "some_words": len(rows) - whole - by_code_only}
        figures |= {"code_only": by_code_only, "quoted": min(len(rows), QUOTED)}
        if near is not None:
            figures |= {"threshold": near.threshold, "middle": round(near.middle, 1)}
            figures |= {"spread": round(near.spread, 1), "bits": near.bits}
        return describe_found(figures), figures

    def _quotes(self, rows: Sequence[FoundData]) -> list[CitationData]:
        with self.services.database.session() as s:
            texts = passages.get_passages(s, [row.passage_id for row in rows[:QUOTED]])
            return [
                cite(s, number, item, *telling_span(item, self.question))
                for number, item in enumerate(texts, start=1)
            ]


def _order(words: tuple[int, float, float], distance: int | None, key: int) -> tuple[float, ...]:
    """Most of the words first, then the better match, then the nearer code."""
    _, share, score = words
    return (-round(share, 3), -score, distance if distance is not None else math.inf, key)


def telling_span(passage: PassageText, question: str) -> tuple[int, int]:
    """The sentence of a passage that shares most words with the question; the whole passage if none does."""
    from engine.sentences import content_terms, sentence_spans

    asked = set(content_terms(question))
    spans = sentence_spans(passage.text)
    shared = [len(asked & set(content_terms(passage.text[start:end]))) for start, end in spans]
    if not spans or not max(shared):
        return (spans[0][0], spans[-1][1]) if spans else (0, len(passage.text))
    return spans[shared.index(max(shared))]


def describe_found(figures: Mapping[str, object]) -> str:
    """`12 passages of 4 documents: 8 hold every word, 3 the rarer of them, 1 is near in meaning alone.`"""
    total, documents = figures["passages"], figures["documents"]
    if not total:
        return "No passage holds these words, and none is near in meaning."
    parts = [
        (figures["every_word"], "with every word"),
        (figures["some_words"], "with the rarer of the words"),
        (figures["code_only"], "near in meaning alone"),
    ]
    said = ", ".join(f"{number} {what}" for number, what in parts if number)
    head = (
        f"{total} passage{'' if total == 1 else 's'} of {documents} document{'' if documents == 1 else 's'}"
    )
    quoted = figures["quoted"]
    more = "" if quoted == total else f" The first {quoted} are quoted here; the list holds them all."
    return f"{head}: {said}.{more}"
