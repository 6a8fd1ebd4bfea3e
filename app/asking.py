"""Ask a question and wait for the answer, whoever works it out."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.errors import AppError
from app.following import Follower, OnText
from app.library import cancel
from app.questions import Asked, load_answer, put
from app.request import Request
from app.services import Services
from storage import Archive, Job

PATIENCE_S = 10.0  # a worker that has not taken the question up by then is busy: this process answers it


def ask(
    services: Services,
    archive: Archive,
    request: Request | str,
    on_text: OnText | None = None,
    follower: Follower | None = None,
) -> dict[str, Any]:
    """Ask and wait for the answer, in the form of `ask --json`."""
    follower = follower or Follower(services)
    made: list[Asked] = []

    def make(s: Session) -> Job:
        asked = put(s, archive.id, request)
        made.append(asked)
        return asked.job

    try:
        follower.do(make, patience_s=PATIENCE_S, on_text=on_text)
    except KeyboardInterrupt:  # nobody waits for the answer any more
        for asked in made:
            cancel(services, asked.job.id)
        raise
    answer = load_answer(services, made[0].finding.id)
    if answer["status"] in ("failed", "cancelled", "running"):
        raise AppError("no_answer", "The question was not answered.", "Ask again.")
    return answer
