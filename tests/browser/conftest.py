"""A real server process, as `python app.py` starts it, and a real browser."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_path import find_chromium
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Server:
    """`python app.py` on a free port over its own checkpoint folder."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._settings = settings
        self.log = folder.parent / f"{folder.name}.log"
        self.start()

    def start(self) -> None:
        environment = os.environ | {
            "GAN_CHECKPOINTS": str(self.folder),
            "HOST": "127.0.0.1",
            "PORT": "17860",
            "GAN_DEVICE": "cpu",
            **self._settings,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        offset = self.log.stat().st_size
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.findall(r"Live GAN is at (\S+)", self.log.read_text()[offset:])
            if found:
                self.address = found[-1]
                return
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    @property
    def process(self) -> int:
        """Its number."""
        return self._process.pid

    def end(self, signum: int) -> int:
        """Send a signal and wait; returns the exit status."""
        self._process.send_signal(signum)
        return self._process.wait(15)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "checkpoints")
    yield running
    if running._process.poll() is None:
        running.end(signal.SIGKILL)


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`open_server(**environment)` for tests that want other settings."""
    opened: list[Server] = []

    def open_one(**settings: str) -> Server:
        opened.append(Server(tmp_path / "checkpoints", **settings))
        return opened[-1]

    yield open_one
    for running in opened:
        if running._process.poll() is None:
            running.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def idle_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that train nothing."""
    running = Server(tmp_path_factory.mktemp("idle") / "checkpoints", PORT="18860")
    yield running
    running.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-US", viewport={"width": 1360, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """`visit(address)`: a page of a visitor of their own."""
    contexts = []

    def arrive(address: str) -> Page:
        contexts.append(browser.new_context(locale="en-US", viewport={"width": 1360, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.goto(address)
        expect(page.locator("#train-runs")).to_contain_text("best")  # the server has said who this is
        return page

    yield arrive
    for context in contexts:
        context.close()
