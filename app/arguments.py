"""The words after `python -m app`: subcommands, and global options before or after them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from app.errors import UserError


class _Parser(argparse.ArgumentParser):
    """Mistakes become one of our errors instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError("usage", _sentence(message), f"See: {self.prog} --help")


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Sort the words; a mistake is a UserError."""
    chosen = build_parser().parse_args(list(words))
    for name, value in (
        ("home", None),
        ("database", None),
        ("device", None),
        ("model", None),
        ("json", False),
    ):
        if not hasattr(chosen, name):
            setattr(chosen, name, value)
    return chosen


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    common = _common()
    parser = _Parser(
        prog="python -m app",
        description="Reads a whole archive of documents as one context and answers with verified quotes.",
        epilog="Errors are one line on standard error; exit code 2 for a mistake, 1 for a failure of ours.",
        parents=[common],
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def add(name: str, text: str) -> _Parser:
        return commands.add_parser(name, help=text, description=text, parents=[common], allow_abbrev=False)

    _serve(add("serve", "Serve the pages to a browser on this machine."))
    add("worker", "Run the worker: parses, reads and answers what is queued, until it is told to stop.")
    add("devices", "List the devices to compute on, and which one is chosen and why.")
    add("models", "List the models that are installed.")
    _archives(add("archives", "List archives; create, rename or delete one, or show one in detail."))
    _ingest(add("ingest", "Add files and folders to an archive, which is made if it is new, and read them."))
    _ask(add("ask", "Ask an archive a question, or a file of questions."))
    _export(add("export", "Write an archive's findings to a file."))
    _bench(
        add("bench", "Measure this machine: reading, first token, decoding, recall, kernels or ingestion.")
    )
    return parser


def _common() -> _Parser:
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("options of every command")
    group.add_argument("--home", metavar="DIR", help="folder of documents, states and models ($ENGRAM_HOME)")
    group.add_argument("--database", metavar="URL", help="another database ($ENGRAM_DATABASE_URL)")
    group.add_argument(
        "--device", metavar="NAME", help="device to compute on ($ENGRAM_DEVICE); default: auto"
    )
    group.add_argument(
        "--model", metavar="NAME", help="model: a name, a folder or a GGUF file ($ENGRAM_MODEL)"
    )
    group.add_argument("--json", action="store_true", help="results and errors as JSON on standard output")
    return common


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, help="port of the page; default 8501")
    parser.add_argument(
        "--address",
        help="address to listen on; default 127.0.0.1. Another needs a password ($ENGRAM_PASSWORD) or OIDC "
        "([auth] in .streamlit/secrets.toml)",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 1 to 65535")
    return int(text)


def _archives(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=_Parser)

    def add(name: str, text: str) -> _Parser:
        return actions.add_parser(name, help=text, description=text, parents=[_common()], allow_abbrev=False)

    add("list", "List the archives (the default).")
    create = add("create", "Make an empty archive.")
    create.add_argument("archive", metavar="NAME")
    create.add_argument("--description", default="")
    rename = add("rename", "Give an archive another name.")
    rename.add_argument("archive", metavar="ARCHIVE")
    rename.add_argument("name", metavar="NAME")
    delete = add("delete", "Delete an archive with its documents, states and findings.")
    delete.add_argument("archive", metavar="ARCHIVE")
    delete.add_argument("--yes", action="store_true", help="do not ask first")
    status = add("status", "Show an archive's documents, coverage and jobs.")
    status.add_argument("archive", metavar="ARCHIVE")


def _ingest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", help="files or folders; none: go on where it stopped"
    )


def _ask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument("question", metavar="QUESTION", nargs="?")
    parser.add_argument(
        "--document",
        metavar="NAME",
        action="append",
        default=[],
        help="ask only of this document; may be repeated",
    )
    parser.add_argument("--batch", metavar="FILE", help='questions, one {"id", "question"} a line')
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="answers to --batch, one a line; questions answered there are not asked again",
    )


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        help="file to write; its ending tells the format: .md .docx .json",
    )
    parser.add_argument(
        "--finding",
        metavar="ID",
        type=int,
        action="append",
        default=[],
        help="only this one; may be repeated",
    )


BENCHES = ("reading", "ttft", "decode", "recall", "kernels", "ingest")


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bench", metavar="WHAT", choices=BENCHES, help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work, not how fast it is")
    parser.add_argument("--runs", type=_count, default=3, help="runs of each figure; default 3")
    parser.add_argument(
        "--tokens", type=_count, default=0, help="reading, ttft: also read this many tokens in one go"
    )
    parser.add_argument("--out", metavar="FILE", help="file to append to; default: HOME/bench/WHAT.jsonl")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)
