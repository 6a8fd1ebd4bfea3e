"""The words after `python -m app`: subcommands, and global options before or after them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

from app.asking_arguments import add_ask, add_compare, add_find, add_summary, count
from app.errors import UserError


class _Parser(argparse.ArgumentParser):
    """Mistakes become one of our errors instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError("usage", _sentence(message), f"See: {self.prog} --help")


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Sort the words; a mistake is a UserError."""
    parser = build_parser()
    chosen, rest = parser.parse_known_args(list(words))
    if len(rest) == 1 and getattr(chosen, "question", "") is None and not rest[0].startswith("-"):
        chosen.question = rest.pop()  # argparse takes no optional word that comes after an option
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
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
    _models(add("models", "List the models; add, check or remove one, or make one the default."))
    _archives(add("archives", "List archives; make, change, show, back up or restore one."))
    _ingest(add("ingest", "Add files and folders to an archive, which is made if it is new, and read them."))
    add_ask(add("ask", "Ask an archive a question, or a file of questions."))
    add_find(add("find", "List every passage about something, page by page."))
    add_compare(add("compare", "Put a question to two documents and set their answers side by side."))
    add_summary(add("summary", "Quote the sentences that stand for a document, or for each of an archive."))
    _matrix(add("matrix", "Put questions to every document of an archive and write the table."))
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


def _actions(parser: argparse.ArgumentParser) -> Callable[[str, str], _Parser]:
    """Adds actions to a command by name and by what they do."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=_Parser)

    def add(name: str, text: str) -> _Parser:
        return actions.add_parser(name, help=text, description=text, parents=[_common()], allow_abbrev=False)

    return add


def _archives(parser: argparse.ArgumentParser) -> None:
    add = _actions(parser)
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
    delete.add_argument("--for-good", action="store_true", help="free the disk now; there is no way back")
    status = add("status", "Show an archive's documents, coverage and jobs.")
    status.add_argument("archive", metavar="ARCHIVE")
    _keeping(add)


def _keeping(add: Callable[[str, str], _Parser]) -> None:
    """What changes what is in an archive, or keeps it safe."""

    def of_archive(name: str, text: str) -> _Parser:
        parser = add(name, text)
        parser.add_argument("archive", metavar="ARCHIVE")
        return parser

    of_archive("undelete", "Bring back an archive deleted since the worker was started.")
    describe = of_archive("describe", "Say what an archive holds.")
    describe.add_argument("text", metavar="TEXT")
    tag = of_archive("tag", "Give an archive, or documents of it, these tags and no others.")
    tag.add_argument("tags", metavar="TAG", nargs="*")
    tag.add_argument("--document", metavar="NAME", action="append", default=[], help="tag this document")
    move = of_archive("move", "Move documents to another place in the context.")
    move.add_argument("documents", metavar="DOCUMENT", nargs="+")
    move.add_argument("--to", metavar="PLACE", type=int, required=True, help="1 is the first place")
    replace = of_archive("replace", "Put a new version in a document's place.")
    replace.add_argument("document", metavar="DOCUMENT")
    replace.add_argument("file", metavar="FILE")
    again = of_archive("read-again", "Read an archive from its first token, as if it never had been.")
    again.add_argument("--parse", action="store_true", help="parse its documents again, too")
    of_archive("duplicates", "Look for documents that are nearly the same.")
    of_archive("disk", "Show what an archive takes on the disk.")
    backup = of_archive("backup", "Write an archive with all that belongs to it to one file.")
    backup.add_argument("--out", metavar="FILE", required=True)
    backup.add_argument("--force", action="store_true", help="overwrite the file")
    restore = add("restore", "Make an archive from a backup.")
    restore.add_argument("file", metavar="FILE")
    restore.add_argument("--name", metavar="NAME", help="another name than the one it had")


def _models(parser: argparse.ArgumentParser) -> None:
    add = _actions(parser)
    add("list", "List the models (the default).")
    new = add("add", "Add a model: a folder or GGUF file, or one of Hugging Face or ModelScope.")
    new.add_argument(
        "source", metavar="SOURCE", help="a path, owner/name or hf:owner/name, or modelscope:owner/name"
    )
    new.add_argument("--name", metavar="NEW", help="what to call it here")
    new.add_argument("--copy", action="store_true", help="copy a local model instead of using it in place")
    new.add_argument("--revision", metavar="REV", help="a branch, tag or commit")
    new.add_argument("--file", metavar="FILE", help="which GGUF file, where there are several")
    check = add("check", "Check a model's files and the memory it needs, without loading it.")
    check.add_argument("name", metavar="NAME", nargs="?", help="a name or a path; default: the model in use")
    check.add_argument("--archive", metavar="ARCHIVE", help="memory for reading this archive")
    check.add_argument("--tokens", metavar="N", type=int, help="memory for a context of so many tokens")
    remove = add("remove", "Delete a model, or forget one that is used in place.")
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("--yes", action="store_true", help="do not ask first")
    default = add("default", "Use a model where none is named; 'default' is the one that comes with Engram.")
    default.add_argument("name", metavar="NAME")
    default.add_argument("--read-again", action="store_true", help="have archives read again that need it")


def _ingest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", help="files or folders; none: go on where it stopped"
    )


def _matrix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument(
        "--questions", metavar="FILE", help="one a line, or JSON or JSONL of texts or objects"
    )
    parser.add_argument(
        "--template", metavar="FIELD", help="questions of a field: contracts, clinical, physics"
    )
    parser.add_argument(
        "--document",
        metavar="NAME",
        action="append",
        default=[],
        help="only this document; may be repeated",
    )
    parser.add_argument("--title", default="", help="name of the matrix on the page")
    parser.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        help="file to write; its ending tells the format: .csv .xlsx .json; run again to go on",
    )


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        help="file to write; its ending tells the format: .md .docx .pdf .html .json .csv .xlsx",
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
    parser.add_argument("--runs", type=count, default=3, help="runs of each figure; default 3")
    parser.add_argument(
        "--tokens", type=count, default=0, help="reading, ttft: also read this many tokens in one go"
    )
    parser.add_argument("--out", metavar="FILE", help="file to append to; default: HOME/bench/WHAT.jsonl")
