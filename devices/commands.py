"""Asking a vendor's command line tool."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

PATIENCE_S = 5.0


def ask(command: Sequence[str]) -> str | None:
    """What the tool prints; None where it is not installed, refuses or takes too long."""
    path = shutil.which(command[0])
    if path is None:
        return None
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        reply = subprocess.run(
            [path, *command[1:]], capture_output=True, timeout=PATIENCE_S, check=True, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return reply.stdout.decode("utf-8", "replace")


def index_of(name: str) -> int:
    """The number in a device's name: 1 of "npu:1", 0 of "npu"."""
    return int(name.partition(":")[2] or 0)


def physical_index(name: str, variable: str) -> int:
    """The card's number on the machine, where an environment variable has renumbered those PyTorch sees."""
    index = index_of(name)
    visible = os.environ.get(variable, "").split(",")
    return int(visible[index]) if index < len(visible) and visible[index].strip().isdecimal() else index
