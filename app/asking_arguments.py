"""The words of the commands that ask: ask, find, compare, summary."""

from __future__ import annotations

import argparse


def add_ask(parser: argparse.ArgumentParser) -> None:
    """Words of `ask`."""
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument("question", metavar="QUESTION", nargs="?")
    _scope(parser)
    parser.add_argument("--follow", metavar="ID", type=count, help="ask under this finding's answer")
    parser.add_argument("--batch", metavar="FILE", help='questions, one {"id", "question"} a line')
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="answers to --batch, one a line; questions answered there are not asked again",
    )


def _scope(parser: argparse.ArgumentParser) -> None:
    """Restrictions; several of one kind widen the choice, different kinds narrow it."""
    for name, metavar, text in (
        ("--document", "NAME", "only this document; may be repeated"),
        ("--tag", "TAG", "only documents with this tag; may be repeated"),
        ("--field", "FIELD", "only documents of this field, a folder they came from; may be repeated"),
    ):
        parser.add_argument(name, metavar=metavar, action="append", default=[], help=text)


def add_find(parser: argparse.ArgumentParser) -> None:
    """Words of `find`."""
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument("words", metavar="WORDS", nargs="?", help="what it is about")
    parser.add_argument(
        "--finding", metavar="ID", type=count, help="open what was found before, by its number"
    )
    _scope(parser)
    parser.add_argument("--page", metavar="N", type=count, default=1, help="page of the list; default 1")
    parser.add_argument(
        "--order", choices=("relevance", "document"), default="relevance", help="default: relevance"
    )


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Words of `compare`."""
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument("question", metavar="QUESTION")
    _scope(parser)


def add_summary(parser: argparse.ArgumentParser) -> None:
    """Words of `summary`."""
    parser.add_argument("archive", metavar="ARCHIVE")
    _scope(parser)


def count(text: str) -> int:
    """A whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)
