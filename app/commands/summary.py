"""`summary`: the sentences that stand for a document or for each document of an archive, as quotes."""

from __future__ import annotations

from argparse import Namespace

from app import library
from app.asking import ask
from app.commands.answers import print_answer, request_from
from app.commands.output import ProgressLine, print_json
from app.commands.signals import stoppable
from app.following import Follower
from app.request import SUMMARY, titled
from app.services import Services


def run(services: Services, chosen: Namespace) -> int:
    """Walk over the passages and print what was chosen."""
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
    line = ProgressLine()
    with stoppable() as stop:
        follower = Follower(services, alone=bool(chosen.model or chosen.device), stop=stop)
        follower.on_job = line.show
        request = request_from(chosen, "", SUMMARY)
        try:
            answer = ask(services, archive, titled(request, archive.name), None, follower)
        finally:
            line.end()
    if services.options.json:
        print_json(answer)
    else:
        print("Sentences of the documents themselves, nothing reworded.")
        print_answer(answer)
    return 0
