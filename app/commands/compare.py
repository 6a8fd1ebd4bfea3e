"""`compare`: a question put to two documents, their answers side by side."""

from __future__ import annotations

from argparse import Namespace

from app import library
from app.asking import ask
from app.commands.answers import print_answer, request_from
from app.commands.output import print_json
from app.commands.signals import stoppable
from app.following import Follower
from app.request import COMPARISON
from app.services import Services


def run(services: Services, chosen: Namespace) -> int:
    """Compare and print."""
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
    with stoppable() as stop:
        follower = Follower(services, alone=bool(chosen.model or chosen.device), stop=stop)
        answer = ask(services, archive, request_from(chosen, chosen.question, COMPARISON), None, follower)
    if services.options.json:
        print_json(answer)
    else:
        print_answer(answer)
    return 0
