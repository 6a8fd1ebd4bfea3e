"""`worker`: the process that parses, reads and answers."""

from __future__ import annotations

from argparse import Namespace

from app.logs import log_to_terminal
from app.services import Services
from app.worker import Worker


def run(services: Services, chosen: Namespace) -> int:
    """Work until told to stop."""
    log_to_terminal()
    Worker(services).run_forever()
    return 0
