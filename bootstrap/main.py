"""What the words after `python3 start.py` mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.console import StartError, say
from bootstrap.environment import Environment, ensure_environment
from bootstrap.launch import run
from bootstrap.model import ensure_model
from bootstrap.processes import child_environment, replace
from bootstrap.window import install_entry, window_command

ROOT = Path(__file__).resolve().parent.parent
# The commands that compute with the model; the others start without it.
MODEL_COMMANDS = ("ask", "bench", "ingest", "matrix", "worker")

HELP = """\
Engram reads a whole archive of documents and answers with quotes you can check.

python3 start.py                  set up what is missing, then open Engram in the browser (Ctrl-C stops it)
python3 start.py --window         the same in a window of its own; closing it stops everything
python3 start.py desktop          put Engram into the desktop's menu (Linux)
python3 start.py setup            set up the environment (.venv) and the default model, nothing more
python3 start.py setup --ocr      the same with text recognition for scanned pages (about 120 MB more)
python3 start.py test [...]       set up the test packages and run the tests; [...] goes to pytest
python3 start.py COMMAND [...]    one of: serve worker devices models archives ingest ask matrix export ...
python3 start.py COMMAND --help   what a command takes

options, before the command:
  --home DIR        where documents, database and models are kept ($ENGRAM_HOME), here
                    {home}
  --database URL    another database than the file in the home folder ($ENGRAM_DATABASE_URL)
  --device NAME     the device to compute on ($ENGRAM_DEVICE); default: the best one found
  --model NAME      the model to use ($ENGRAM_MODEL); default: the one that comes with Engram
  --json            a command's results as JSON
  --port N          the page's port; default: 8501, or the next free one
  --no-browser      print the page's address, open nothing

The first start takes some minutes and downloads about 0.5 GB (3 GB more where there is an NVIDIA GPU);
later starts need no network.
Python 3.11 to 3.13. Exit code: 2 for a mistake in the command, 1 for a failure, else the command's own.
"""

VALUES = ("--home", "--database", "--device", "--model", "--port")
FLAGS = ("--no-browser", "--window", "--json")


class UsageError(StartError):
    """A mistake in the words after start.py."""


@dataclass(slots=True)
class Request:
    """The words after start.py, sorted: options before the command, the command, and all that follows it."""

    options: dict[str, str] = field(default_factory=dict)
    command: str = ""
    rest: list[str] = field(default_factory=list)


def parse(words: Sequence[str]) -> Request:
    """Sort the words; whatever follows the command is the command's and stays untouched."""
    request = Request()
    position = 0
    while position < len(words):
        word, _, value = words[position].partition("=")
        position += 1
        if word in ("-h", "--help"):
            request.command = "help"
            return request
        if word in FLAGS and not value:
            request.options[word] = "yes"
        elif word in VALUES:
            if not value:
                if position == len(words):
                    raise UsageError(f"{word} needs a value.", "See: python3 start.py --help")
                value = words[position]
                position += 1
            request.options[word] = value
        elif word.startswith("-"):
            raise UsageError(f"Unknown option {word}.", "See: python3 start.py --help")
        else:
            request.command = words[position - 1]
            request.rest = list(words[position:])
            return request
    return request


def option(request: Request, name: str) -> str | None:
    """An option's value, wherever it stands: Engram's commands take the common ones after their name too."""
    rest = request.rest
    for place in reversed(range(len(rest))):
        if rest[place].startswith(name + "="):
            return rest[place].partition("=")[2]
        if rest[place] == name and place + 1 < len(rest):
            return rest[place + 1]
    return request.options.get(name)


def home_folder(named: str | None, env: Mapping[str, str] = os.environ) -> Path:
    """The home folder: --home, $ENGRAM_HOME, or the system's usual place for a program's data."""
    if named := named or env.get("ENGRAM_HOME"):
        return Path(named).expanduser().resolve()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "engram"
    if os.name == "nt":
        return Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "engram"
    return Path.home() / ".local" / "share" / "engram"


def settings(options: Mapping[str, str]) -> dict[str, str]:
    """The options that worker, page and commands read from their environment."""
    names = {"--database": "ENGRAM_DATABASE_URL", "--device": "ENGRAM_DEVICE", "--model": "ENGRAM_MODEL"}
    return {variable: options[name] for name, variable in names.items() if name in options}


def perform(request: Request) -> int:
    """Do what was asked for and return the exit code."""
    home = home_folder(option(request, "--home") if request.command != "test" else None)
    if request.command == "help":
        print(HELP.format(home=home))
        return 0
    if request.command == "desktop":
        say(f"Engram is in the desktop's menu now: {install_entry(ROOT)}")
        return 0
    env = Environment(ROOT)
    environment = child_environment(ROOT, home) | settings(request.options)
    port = _port(request.options.get("--port"))
    ocr = request.command == "setup" and "--ocr" in request.rest
    if request.command == "" and "--window" in request.options:
        window_command(home)  # no window to be had is told before anything is set up
    ensure_environment(env, testing=request.command == "test", ocr=ocr)
    if request.command == "test":
        return replace([env.python, "-m", "pytest", *request.rest], environment, ROOT)
    if request.command in ("", "setup", *MODEL_COMMANDS) and _wants_default_model(request):
        ensure_model(env, home, environment)
    if request.command == "setup":
        say(f"Engram is set up. Its data: {home}\nStart it with: python3 start.py")
        return 0
    if request.command == "":
        browser, window = "--no-browser" not in request.options, "--window" in request.options
        return run(env.python, ROOT, home, environment, port, browser, window)
    flags = ["--json"] if "--json" in request.options else []
    return replace([env.python, "-m", "app", *flags, request.command, *request.rest], environment)


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise UsageError(f"--port {text} is no port number.", "Name one from 1024 to 65535.")
    return int(text)


def _wants_default_model(request: Request) -> bool:
    """Whether the command computes with the default model: nobody asks for help or names another one."""
    named = option(request, "--model") or os.environ.get("ENGRAM_MODEL") or "default"
    return named == "default" and not {"-h", "--help"} & set(request.rest)


def main(words: Sequence[str]) -> int:
    """Entry of start.py: perform, and put every failure into one line of words with what to do."""
    try:
        return perform(parse(words))
    except StartError as error:
        say(f"start.py: {error.message}" + (f"\n{error.hint}" if error.hint else ""))
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        say("\nstart.py: stopped. Run it again to go on.")
        return 130
    except OSError as error:
        say(f"start.py: {error}\nCheck that the folder exists, can be written to and has room.")
        return 1
