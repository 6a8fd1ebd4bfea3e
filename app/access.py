"""Who may open the pages: anybody on this machine; from elsewhere only who signs in."""

from __future__ import annotations

import hmac
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

PASSWORD = "ENGRAM_PASSWORD"


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach that address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def protection(env: Mapping[str, str], root: Path) -> str | None:
    """What people must do before they see a page: "oidc", "password", or None for nothing."""
    for secrets in (root / ".streamlit" / "secrets.toml", Path.home() / ".streamlit" / "secrets.toml"):
        if _names_provider(secrets):
            return "oidc"
    return "password" if env.get(PASSWORD) else None


def password_fits(given: str, env: Mapping[str, str] | None = None) -> bool:
    """Whether this is the password; takes the same time whatever is wrong with it."""
    wanted = (os.environ if env is None else env).get(PASSWORD, "")
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


def _names_provider(secrets: Path) -> bool:
    try:
        settings = tomllib.loads(secrets.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    auth = settings.get("auth")
    return isinstance(auth, dict) and "cookie_secret" in auth
