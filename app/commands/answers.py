"""What the commands that ask have in common: the request from the words, the answer on the terminal."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from app.commands.output import clean
from app.request import ANSWER, Request


def request_from(chosen: Namespace, question: str, kind: str = ANSWER, follows: int | None = None) -> Request:
    """The request of a command with --document, --tag and --field."""
    scope = (tuple(chosen.document), tuple(chosen.tag), tuple(chosen.field))
    return Request(question, kind, *scope, follows=follows)


def print_answer(answer: dict[str, Any]) -> None:
    """Answer, citations, coverage, and the number to follow up on."""
    asked = answer["asked"]
    if asked["understood"] != answer["question"]:
        print(f"Understood as: {clean(asked['understood'])}")
    for paragraph in answer["answer"].split("\n\n"):
        print(clean(paragraph))
    print_citations(answer["citations"])
    for item in answer.get("closest", ()):
        print(f'  Closest: {clean(item["document"])}, page {item["page"]}: "{clean(item["quote"])}"')
    print(f"  {coverage(answer['context'])}")
    if asked["kind"] == ANSWER:
        print(f"  Follow up with --follow {asked['finding']}.")


def print_citations(cited: list[dict[str, Any]]) -> None:
    """Each on a line: number, place, whether it is verified or recognised text, the quote."""
    for item in cited:
        print(f'  [{item["number"]}] {_place(item)}: "{clean(item["quote"])}"')


def _place(item: dict[str, Any]) -> str:
    marks = [] if item["verified"] else ["not verified"]
    if item["recognised"]:
        marks.append(f"recognised text, {item['recognised_confidence']:.0%} sure")
    said = f" ({', '.join(marks)})" if marks else ""
    return f"{clean(item['document'])}, page {item['page']}{said}"


def coverage(context: dict[str, Any]) -> str:
    """How much was read when the question was answered, and what was not."""
    read, total, left = context["tokens_read"], context["tokens_total"], context["not_read"]
    text = f"Read: {read:,} of {total:,} tokens of {context['documents']} documents."
    if left:
        named = "; ".join(f"{clean(item['document'])} ({clean(item['reason'])})" for item in left[:5])
        text += f" Not read: {named}" + (f"; and {len(left) - 5} more." if len(left) > 5 else ".")
    return text
