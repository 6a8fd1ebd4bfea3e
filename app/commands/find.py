"""`find`: every passage about something, page by page."""

from __future__ import annotations

import math
from argparse import Namespace
from typing import Any

from app import library
from app.asking import ask
from app.commands.answers import coverage, request_from
from app.commands.output import clean, print_json
from app.commands.signals import stoppable
from app.errors import UserError
from app.everything import telling_span
from app.following import Follower
from app.questions import load_answer
from app.request import EVERYTHING
from app.services import Services
from storage import Archive, FoundText, documents, findings, found, recognised

PER_PAGE = 20


def run(services: Services, chosen: Namespace) -> int:
    """Look through the archive, or open another page of what was found, and print it."""
    if (chosen.words is None) == (chosen.finding is None):
        raise UserError("usage", "Give words, or --finding and the number of a list found before.")
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
    search = _search if chosen.words is not None else _held
    answer = search(services, archive, chosen)
    page = load_page(services, answer, chosen)
    if services.options.json:
        print_json(answer | page)
    else:
        _print(answer, page)
    return 0


def _search(services: Services, archive: Archive, chosen: Namespace) -> dict[str, Any]:
    with stoppable() as stop:
        follower = Follower(services, alone=bool(chosen.model or chosen.device), stop=stop)
        return ask(services, archive, request_from(chosen, chosen.words, EVERYTHING), None, follower)


def _held(services: Services, archive: Archive, chosen: Namespace) -> dict[str, Any]:
    """What was found before."""
    with services.database.session() as s:
        finding = findings.get_finding(s, chosen.finding)
    answer = load_answer(services, chosen.finding)
    if finding.archive_id != archive.id or "found" not in answer:
        hint = "Search first: find ARCHIVE WORDS"
        raise UserError("no_list", f"Finding {chosen.finding} is no list of this archive.", hint)
    return answer


def load_page(services: Services, answer: dict[str, Any], chosen: Namespace) -> dict[str, Any]:
    """One page of the list; a page behind the last is a mistake."""
    total, number = answer["found"]["passages"], chosen.page
    pages = max(1, math.ceil(total / PER_PAGE))
    if number > pages:
        raise UserError("no_page", f"There is no page {number}.", f"The list has {pages}.")
    key = answer["asked"]["finding"]
    with services.database.session() as s:
        rows = found.list_found(s, key, (number - 1) * PER_PAGE, PER_PAGE, chosen.order)
        counts = found.count_found(s, key)
        listed = [_as_json(s, row, answer["question"]) for row in rows]
    by_document = [{"document": name, "passages": count} for _, name, count in counts]
    return {"page": number, "pages": pages, "passages": listed, "by_document": by_document}


def _as_json(s: Any, row: FoundText, question: str) -> dict[str, Any]:
    """A passage in the form of a citation, with what it qualifies by."""
    item = row.passage
    start, end = telling_span(item, question)
    first, last = item.start + start, item.start + end
    quote = item.text[start:end]
    page = documents.page_at(s, item.document_id, first).number
    sure = recognised.confidence(s, item.document_id, page)
    verified = documents.document_text(s, item.document_id, first, last) == quote
    place = {"number": row.rank, "document": item.document, "page": page, "start": first, "end": last}
    said = {
        "quote": quote,
        "verified": verified,
        "score": round(row.share, 3),
        "recognised": sure is not None,
    }
    why = {"recognised_confidence": sure, "words": row.words, "distance": row.distance}
    return place | said | why | {"passage": item.text}


def _print(answer: dict[str, Any], page: dict[str, Any]) -> None:
    print(clean(answer["answer"]))
    for item in page["by_document"]:
        print(f"  {item['passages']:>6} {clean(item['document'])}")
    for item in page["passages"]:
        why = f"{item['words']} of {len(answer['found']['words'])} words"
        why += "" if item["distance"] is None else f", code {item['distance']} bits away"
        print(f"[{item['number']}] {clean(item['document'])}, page {item['page']} ({why})")
        print(f'    "{clean(item["quote"])}"')
    if "threshold" in answer["found"]:
        print(f"  {nearness(answer['found'])}")
    print(f"  {coverage(answer['context'])}")
    if page["pages"] > 1:
        following = page["page"] % page["pages"] + 1
        again = f"--finding {answer['asked']['finding']} --page {following}"
        print(f"  Page {page['page']} of {page['pages']}; another with {again}.")


def nearness(figures: dict[str, Any]) -> str:
    """What counted as near in meaning."""
    return (
        f"Near in meaning: at most {figures['threshold']} of {figures['bits']} bits away; this archive's "
        f"passages lie at {figures['middle']:g} ± {figures['spread']:g}."
    )
