"""How soon after *Start* a visitor sees something, on the real page in a real browser.

Prints a table of medians with their spread and ends with one line of JSON. Needs requirements-dev.txt and a
Chromium, as the browser tests do.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from browser_path import find_chromium

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
MOMENTS = {
    "status": "['preparing', 'training'].includes(document.documentElement.dataset.train)",
    "training": "document.documentElement.dataset.train === 'training'",
    "plots": "['loss', 'score'].every(n => document.querySelector(`#train-${n}-plot img`).src)",
    "digits": "document.querySelector('#train-grid img').src.includes('live')",
}


def main() -> None:
    rounds = [one_round() for _ in range(ROUNDS)]
    medians = {}
    print(f"{'seconds until':24} median   min   max   ({ROUNDS} fresh servers)")
    for name in rounds[0]:
        times = [times[name] for times in rounds]
        medians[name] = round(statistics.median(times), 2)
        print(f"{name:24} {medians[name]:6.2f} {min(times):5.2f} {max(times):5.2f}")
    print(json.dumps(medians))


def one_round() -> dict[str, float]:
    """Start a server and a browser, press Start at once, and note when each thing is first seen."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"GAN_CHECKPOINTS": folder, "HOST": "127.0.0.1", "PORT": "18860"}
        started = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-u", "app.py"], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE
        )
        try:
            times, address = {}, None
            assert server.stdout is not None
            while address is None:
                line = server.stdout.readline()
                assert line, "the server ended"
                address = re.search(r"Live GAN is at (\S+)", line)
            times["server answers"] = time.perf_counter() - started
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
                )
                times |= press_start(browser.new_page(), address.group(1))
                browser.close()
        finally:
            server.terminate()
            server.wait(15)
    return times


def press_start(page: Page, address: str) -> dict[str, float]:
    page.goto(address)
    page.wait_for_selector("#train-start", state="visible")
    started = time.perf_counter()
    page.click("#train-start")
    times = {}
    for name, condition in MOMENTS.items():
        page.wait_for_function(condition, polling=50)
        times[f"{name} after Start"] = time.perf_counter() - started
    return times


if __name__ == "__main__":
    main()
