"""Engram in a window of its own: an installed browser without its bars, and an entry in the system's menu."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bootstrap.console import StartError
from bootstrap.page import has_display

NAME = "Engram"
# Browsers that show a page as an application: Chromium and its relatives.
BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge"),
    *("brave-browser", "chrome", "msedge"),
)
USUAL_PLACES = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
        r"C:\Program Files\Microsoft\Edge\Application\msedge.exe",
    ),
}


def find_browser(
    platform: str = sys.platform, find: Callable[[str], str | None] = shutil.which
) -> str | None:
    """A browser that can show a page as an application, or None."""
    found = next(filter(None, map(find, BROWSERS)), None)
    return found or next((place for place in USUAL_PLACES.get(platform, ()) if Path(place).is_file()), None)


def window_command(
    home: Path, environment: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> list[str]:
    """What opens the window, less the address; StartError where no window could be seen or made."""
    if not has_display(environment, platform):
        raise StartError(
            "There is no display here, so no window can be opened.",
            "Leave --window out, and open the address that is printed.",
        )
    browser = find_browser(platform)
    if browser is None:
        raise StartError(
            "No browser was found that can show Engram in a window of its own.",
            "Install Chromium, Chrome or Edge, or leave --window out: any browser shows the page.",
        )
    own = home / "window"  # a profile of its own: closing the window then ends the program
    flags = ("--no-first-run", "--no-default-browser-check", "--disable-sync", "--window-size=1280,900")
    return [browser, f"--user-data-dir={own}", f"--class={NAME}", *flags]


def open_window(command: list[str], address: str) -> subprocess.Popen[bytes]:
    """Open the window; the program that is returned ends when it is closed."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*command, f"--app={address}"], stdin=quiet, stdout=quiet, stderr=quiet)


def install_entry(
    root: Path, environment: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Path:
    """Write the desktop entry that starts Engram in its window (freedesktop.org); its path."""
    if platform in ("darwin", "win32"):
        raise StartError(
            "A desktop entry is for Linux desktops.", "Here, make a shortcut to: python3 start.py --window"
        )
    data = Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    entry = data / "applications" / "engram.desktop"
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text(entry_text(root, sys.executable), encoding="utf-8")
    return entry


def entry_text(root: Path, python: str) -> str:
    """The entry's text; paths may hold anything that a file name can."""
    return "\n".join(
        [
            "[Desktop Entry]",
            "Type=Application",
            f"Name={NAME}",
            "Comment=Reads a whole archive of documents and answers with quotes you can check",
            f"Exec={_quoted(python)} {_quoted(str(root / 'start.py'))} --window",
            f"Icon={root / 'assets' / 'icon.svg'}",
            "Terminal=false",
            "Categories=Office;Science;",
            f"StartupWMClass={NAME}",
            "",
        ]
    )


def _quoted(word: str) -> str:
    """An argument of Exec: quoted, with the four special characters escaped twice, as the format asks."""
    for special in ("\\", '"', "`", "$"):
        word = word.replace(special, "\\" + special)
    return '"' + word.replace("\\", "\\\\").replace("%", "%%") + '"'
