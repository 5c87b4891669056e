"""The app in a process of its own, as a visitor meets it."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(ROOT / "tests"))
from browser_path import find_chromium  # noqa: E402


@dataclass(frozen=True)
class Server:
    """A running app: its address, and how many seconds it took until it answered."""

    address: str
    start_seconds: float
    process: int  # its number
    folder: Path  # of its runs
    log: IO[str]


@contextmanager
def running_app(**settings: str) -> Iterator[Server]:
    """Start the app over an empty folder of checkpoints, with environment variables; end it afterwards."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        own = {"GAN_CHECKPOINTS": folder, "HOST": "127.0.0.1", "PORT": "18860", **settings}
        environment = os.environ | own
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-u", "app.py"], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
            stderr=log,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            address = None
            while address is None:
                line = process.stdout.readline()
                assert line, "the server ended"
                address = re.search(r"Live GAN is at (\S+)", line)
            yield Server(address.group(1), time.perf_counter() - started, process.pid, Path(folder), log)
        finally:
            process.terminate()
            process.wait(15)
            process.stdout.close()


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()
