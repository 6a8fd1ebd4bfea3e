"""A real worker and page server over a home folder of their own, and a real browser to use them with."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from desk import Desk
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tiny import tiny_model_dir

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
START_S = 60.0
TIMEOUT_MS = 60_000


@dataclass(slots=True)
class Product:
    """The running product: its address and the folder with its logs."""

    address: str
    home: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, *command: str) -> None:
        """Run Python with `command` over the home folder; its output goes to a log."""
        log = (self.home / f"{name}.log").open("wb")
        own = {"ENGRAM_HOME": str(self.home), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        environment = {**os.environ, **own}
        command = (sys.executable, *command)
        with log:
            self.processes.append(
                subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
            )

    def stop(self) -> None:
        """Ask both programs to end and wait for them."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def logs(self) -> str:
        """The last lines both programs wrote."""
        return "\n".join(
            f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-3000:]}"
            for log in sorted(self.home.glob("*.log"))
        )


def find_chromium() -> str | None:
    """The browser to drive: $ENGRAM_CHROMIUM or the first of the usual names."""
    named = os.environ.get("ENGRAM_CHROMIUM")
    return named or next((path for name in BROWSERS if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path. Without one this is no pass: it fails in CI and is loudly skipped elsewhere."""
    path = find_chromium()
    if path is None:
        missing = "no Chromium found: install it (apt install chromium) or name it in ENGRAM_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(f"THE BROWSER TEST DID NOT RUN: {missing}")
    return path


@pytest.fixture(scope="session")
def product(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Worker and page, started on a free port with the tiny model; archives are each test file's own."""
    folder = tmp_path_factory.mktemp("product")
    home = folder / "home"
    (home / "models").mkdir(parents=True)
    tiny_model_dir(folder).rename(home / "models" / "default")
    port = _free_port()
    running = Product(f"http://127.0.0.1:{port}", home)
    try:
        running.start("worker", str(Path(__file__).with_name("worker_of_plain_judgement.py")))
        running.start("serve", "-m", "app", "serve", "--port", str(port))
        _wait_for_page(running, port)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Headless Chromium."""
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def desk(product: Product) -> Iterator[Desk]:
    """Archives and answers made in a moment, for tests of what comes after them."""
    made = Desk(product.home)
    yield made
    made.close()


@pytest.fixture
def context(browser: Browser, product: Product) -> Iterator[BrowserContext]:
    """A person's browser. Afterwards: it talked to this machine only, and no script of a document ran."""
    opened = browser.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True, base_url=product.address
    )
    asked: list[str] = []
    alerts: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    opened.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    yield opened
    opened.close()
    outside = [url for url in asked if not url.startswith((product.address, "data:", "blob:"))]
    assert outside == []
    assert alerts == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A window, nothing opened yet."""
    return context.new_page()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_page(running: Product, port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/_stcore/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    pytest.fail(f"the page did not answer within {START_S:.0f} s\n{running.logs()}")
