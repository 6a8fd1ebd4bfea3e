"""`ask`: one question, or a file of them."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from app import library
from app.asking import ask
from app.commands.answers import print_answer, request_from
from app.commands.batch import run_batch
from app.commands.output import clean, print_json
from app.commands.signals import stoppable
from app.errors import UserError
from app.following import Follower
from app.questions import check_question
from app.scope import find_scope
from app.services import Services
from storage import Archive


def run(services: Services, chosen: Namespace) -> int:
    """Answer and print, or answer a batch into a file."""
    _check(chosen)
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
        find_scope(s, archive.id, request_from(chosen, ""))
    with stoppable() as stop:
        follower = Follower(services, alone=bool(chosen.model or chosen.device), stop=stop)
        if chosen.batch:
            source, target = Path(chosen.batch).expanduser(), Path(chosen.out).expanduser()
            return run_batch(services, archive, source, target, request_from(chosen, ""), follower)
        return _ask_one(services, archive, chosen, follower)


def _check(chosen: Namespace) -> None:
    if chosen.batch and (chosen.question is not None or chosen.follow is not None):
        raise UserError("usage", "Give a question or --batch, not both.")
    if bool(chosen.batch) != bool(chosen.out):
        raise UserError("usage", "--batch and --out go together.", "ask ARCHIVE --batch FILE --out FILE")
    if not chosen.batch:
        if chosen.question is None:
            raise UserError("empty_question", "There is no question.", 'ask ARCHIVE "question"')
        check_question(chosen.question)


def _ask_one(services: Services, archive: Archive, chosen: Namespace, follower: Follower) -> int:
    shown = Growing() if not services.options.json and sys.stdout.isatty() else None
    on_text = shown.show if shown else None
    request = request_from(chosen, chosen.question, follows=chosen.follow)
    answer = ask(services, archive, request, on_text, follower)
    if services.options.json:
        print_json(answer)
        return 0
    if shown:
        shown.clear()
    print_answer(answer)
    return 0


class Growing:
    """The answer while it grows, in grey on one line of the terminal."""

    def show(self, text: str) -> None:
        """Draw the end of the text so far."""
        sys.stdout.write("\r\033[K\033[2m" + clean(text)[-100:] + "\033[0m")
        sys.stdout.flush()

    def clear(self) -> None:
        """Make room for the final answer."""
        sys.stdout.write("\r\033[K")
