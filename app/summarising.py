"""The summary job: a walk over all passages of a document or an archive, a few sentences kept of each.

Extractive: every sentence is a quote, checked like any other; nothing is reworded. Words and recall codes
choose what the model weighs (app/weighing.py). What is finished document by document is kept as it goes, so
that an interrupted walk goes on where it stopped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.inquiry import Inquiry, cite
from app.measuring import SHARED_S, power_values
from app.salience import (
    Candidate,
    Rarity,
    Weigh,
    choose_sentences,
    document_words,
    telling_words,
    weighed_of,
)
from app.weighing import Weighing
from storage import CitationData, Document, PassageText, findings, passages

SAMPLE = 600  # passages that tell which words are rare in the archive
KEEP_S = 5.0
TOKENS_A_SENTENCE = 300
FEWEST, MOST = 3, 12  # sentences of one document summarised by itself
OF_FEW, OF_SOME = (10, 3), (60, 2)  # documents up to, sentences of each; one beyond
TERMS = 15


def sentences_each(documents: Sequence[Document]) -> list[int]:
    """How many sentences each document gives: one document by its length, of many three, two or one each."""
    if len(documents) == 1:
        return [min(MOST, max(FEWEST, round(documents[0].tokens / TOKENS_A_SENTENCE)))]
    each = next((number for most, number in (OF_FEW, OF_SOME) if len(documents) <= most), 1)
    return [each] * len(documents)


class Summarising(Inquiry):
    """One walk; `details["parts"]` holds what is done of it."""

    def run(self) -> None:
        """Go on with the first document that is not done, to the last."""
        self.load_model()
        self.say("Counting words")
        rows = self.documents()
        self._cited = [_data(item) for item in self.finding.citations]
        self._parts: list[dict[str, Any]] = list(self.finding.details.get("parts") or [])
        shared_s = 0.0
        with self.services.meter.measure() as power:
            context = self.services.contexts.get(self.services, self.finding.archive_id)
            rarity = self._rarity()
            shared_s = self._walk(rows, rarity)
        run = self.run_values(context) | power_values(None if shared_s > SHARED_S else power)
        status = "supported" if self._cited else "not_found"
        terms = recurring(self._parts)
        parts = [{key: value for key, value in part.items() if key != "terms"} for part in self._parts]
        about = {"parts": parts, "terms": terms}
        self.store(context, as_text(self._parts, terms, self._cited), status, None, self._cited, run, **about)

    def _rarity(self) -> Rarity:
        with self.services.database.session() as s:
            ids, _ = passages.passage_documents(s, self.finding.archive_id)
            sample = ids[:: max(1, len(ids) // SAMPLE)].tolist()
            return Rarity(item.text for item in passages.get_passages(s, sample))

    def _walk(self, rows: Sequence[Document], rarity: Rarity) -> float:
        """Every document in turn; returns the seconds in which other work took its turn."""
        done_ids = {part["document_id"] for part in self._parts}
        total, done = sum(row.tokens for row in rows), 0
        shared_s, kept_at = 0.0, time.monotonic()
        try:
            for row, count in zip(rows, sentences_each(rows), strict=True):
                if row.id not in done_ids:
                    self.task.progress(done, total, "tokens", f"Going through {row.name}")
                    shared_s += self.task.between()
                    self._done, self._total = done, total
                    self._summarise(row, rarity, count)
                done += row.tokens
                if time.monotonic() - kept_at > KEEP_S:
                    self._keep()
                    kept_at = time.monotonic()
        finally:
            self._keep()
        self.task.progress(total, total, "tokens", "Putting it together", at_once=True)
        return shared_s

    def _summarise(self, row: Document, rarity: Rarity, count: int) -> None:
        engine, archive_id = self.services.engine, self.finding.archive_id
        with self.services.database.session() as s:
            ids = [item.id for item in passages.list_passages(s, row.id)]
            found = passages.get_passages(s, ids)
            coded, codes = passages.load_codes(s, archive_id, engine.fingerprint, [row.id])
            by_id = {key: code.tobytes() for key, code in zip(coded.tolist(), codes, strict=True)}
        weights = document_words(found, rarity)
        chosen = choose_sentences(found, by_id, weights, count, self._weigher(row, found, count))
        first = len(self._cited) + 1
        with self.services.database.session() as s:
            cited = [
                cite(s, number, one.passage, one.start, one.end, round(one.score, 3))
                for number, one in enumerate(chosen, start=first)
            ]
        self._cited += cited
        self._parts.append(
            {
                "document": row.name,
                "document_id": row.id,
                "citations": [item.number for item in cited],
                "headings": _headings(found),
                "terms": list(telling_words(found, weights).items()),
                "coded": len(by_id) == len(found),
                "weighed": self._weighed > 0,
            }
        )

    def _weigher(self, row: Document, found: Sequence[PassageText], count: int) -> Weigh:
        """What the model says of a sentence; between two sentences the walk can be stopped."""
        title = (found[0].title if found else "") or row.name
        weighing, most = Weighing(self.services.engine, None, title, found), weighed_of(count)
        self._weighed = 0

        def weigh(one: Candidate) -> float:
            self.task.check()
            done = self._done + row.tokens * self._weighed / most
            self.task.progress(done, self._total, "tokens", f"Weighing sentences of {row.name}")
            self._weighed += 1
            return weighing(one)

        return weigh

    def _keep(self) -> None:
        """What is done so far, in the finding."""
        with self.services.database.session() as s:
            details = dict(findings.get_finding(s, self.finding.id).details) | {"parts": self._parts}
            findings.set_citations(s, self.finding.id, self._cited)
            findings.update_finding(s, self.finding.id, details=details)


def _headings(found: Sequence[PassageText]) -> list[str]:
    """The document's outline: its headings in order, each once, at most twelve."""
    return list(dict.fromkeys(item.heading for item in found if item.heading))[:12]


def _data(item: Any) -> CitationData:
    place = (item.number, item.document_id, item.document, item.page, item.start, item.end)
    return CitationData(*place, item.quote, item.verified, item.score)


def recurring(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Words that tell much of several documents, with the number of documents; of one document, its own."""
    count: Counter[str] = Counter()
    forms: dict[str, str] = {}
    for part in parts:
        for stem, form in part["terms"]:
            count[stem] += 1
            forms.setdefault(stem, form)
    least = 2 if len(parts) > 1 else 1
    return [{"term": forms[stem], "documents": n} for stem, n in count.most_common(TERMS) if n >= least]


def as_text(
    parts: Sequence[dict[str, Any]], terms: Sequence[dict[str, Any]], cited: Sequence[CitationData]
) -> str:
    """The summary as text: a paragraph a document, each sentence with its mark."""
    if not cited:
        return "No sentence that could stand for these documents was found."
    quotes = {item.number: " ".join(item.quote.split()) for item in cited}
    paragraphs = []
    for part in parts:
        said = " ".join(f"{quotes[number]} [{number}]" for number in part["citations"] if number in quotes)
        name = f"{part['document']}: " if len(parts) > 1 else ""
        paragraphs.append(name + (said or "no whole sentence to quote."))
    if len(parts) > 1 and terms:
        listed = ", ".join(f"{item['term']} ({item['documents']})" for item in terms)
        paragraphs.append(f"Words that recur, with the number of documents: {listed}.")
    return "\n\n".join(paragraphs)
