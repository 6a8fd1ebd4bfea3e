"""Asking before something is lost."""

from __future__ import annotations

import sys

from app.commands.output import clean
from app.errors import UserError


def confirm(question: str) -> None:
    """Go on only after a yes; UserError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UserError("not_confirmed", "Deleting needs a confirmation.", "Add --yes.")
    print(f"{clean(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("not_confirmed", "Nothing was deleted.")
