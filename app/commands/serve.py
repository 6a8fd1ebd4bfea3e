"""`serve`: the pages, by Streamlit, on this machine only unless people must sign in."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from app.access import is_loopback, protection
from app.errors import AppError, UserError
from app.services import Services

ROOT = Path(__file__).resolve().parents[2]
PAGE = "streamlit_app.py"


def run(services: Services, chosen: Namespace) -> int:
    """Become the page server."""
    address = chosen.address or os.environ.get("STREAMLIT_SERVER_ADDRESS") or "127.0.0.1"
    check_address(address, services)
    if importlib.util.find_spec("streamlit") is None:
        raise AppError("streamlit_missing", "Streamlit is not installed.", "Run: python3 start.py setup")
    return _replace(page_command(address, chosen.port), page_environment(services))


def check_address(address: str, services: Services) -> None:
    """Refuse to be reachable from other machines while nobody has to sign in."""
    if is_loopback(address) or protection(os.environ, ROOT) is not None:
        return
    raise UserError(
        "unprotected_address",
        f"Listening on {address} would open every archive to the network without a password.",
        "Set ENGRAM_PASSWORD, or configure OIDC in .streamlit/secrets.toml, or leave --address out.",
    )


def page_command(address: str, port: int | None) -> list[str]:
    """How Streamlit is started: no telemetry, no browser of its own."""
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / PAGE)]
    command += ["--server.address", address, "--server.headless", "true"]
    command += ["--browser.gatherUsageStats", "false"]
    if not is_loopback(address):
        # config.toml names this machine alone; here the sign-in decides who may come.
        command += ["--server.allowedHosts", "*"]
    return command + (["--server.port", str(port)] if port else [])


def page_environment(services: Services) -> dict[str, str]:
    """The options as the pages read them."""
    path = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **os.environ,
        **services.options.environment(),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
    }


def _replace(command: list[str], environment: dict[str, str]) -> int:
    sys.stdout.flush()
    if os.name == "nt":
        return subprocess.call(command, env=environment, cwd=ROOT)
    os.chdir(ROOT)
    os.execve(command[0], command, environment)
