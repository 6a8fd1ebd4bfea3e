"""Runs a command and turns whatever comes of it into output, an exit code, and one line if it failed."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress

from app.arguments import parse
from app.errors import INTERNAL, Problem, describe
from app.logs import errors_kept
from app.services import Services
from app.settings import Options

log = logging.getLogger(__name__)
Command = Callable[[Services, Namespace], int]


def main(words: Sequence[str]) -> int:
    """Entry of `python -m app`; returns the exit code."""
    as_json = "--json" in words
    try:
        return run(words)
    except SystemExit as wanted:  # argparse ends --help this way
        return int(wanted.code or 0)
    except BrokenPipeError:  # the reader of our output has gone
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        problem = describe(error)
        tell(problem, as_json)
        return 130 if isinstance(error, KeyboardInterrupt) else problem.exit_code


def run(words: Sequence[str]) -> int:
    """Parse, do, and return the exit code; errors are raised."""
    chosen = parse(words)
    options = Options.from_env(
        home=chosen.home,
        database_url=chosen.database,
        device=chosen.device,
        model=chosen.model,
        json=chosen.json,
    )
    services = Services(options)
    try:
        with errors_kept(services.home.logs):
            return _do(services, chosen)
    finally:
        services.close()


def _do(services: Services, chosen: Namespace) -> int:
    try:
        return command(chosen.command)(services, chosen)
    except Exception as error:
        if describe(error).code == INTERNAL:
            log.exception("%s failed", chosen.command)
        raise


def command(name: str) -> Command:
    """The function behind a command; its module is imported only when it is run."""
    module = importlib.import_module(f"app.commands.{name}")
    function: Command = module.run
    return function


def tell(problem: Problem, as_json: bool) -> None:
    """One line on standard error; with --json the same on standard output for scripts."""
    print(problem.line(), file=sys.stderr)
    if as_json:
        print(json.dumps(problem.as_dict(), ensure_ascii=False))
