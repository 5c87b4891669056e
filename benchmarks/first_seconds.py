"""How soon after *Start* a visitor sees something, on the real page in a real browser."""

import time

from playwright.sync_api import Page

from benchmarks.server import running_app, running_browser

ROUNDS = 3
MOMENTS = {
    "status": "['preparing', 'training'].includes(document.documentElement.dataset.train)",
    "training": "document.documentElement.dataset.train === 'training'",
    "plots": "['loss', 'score'].every(n => document.querySelector(`#train-${n}-plot img`).src)",
    "digits": "document.querySelector('#train-grid img').src.includes('live')",
}


def measure() -> dict[str, list[float]]:
    """Seconds for each moment, one value for each of ROUNDS fresh servers."""
    rounds = [_one_round() for _ in range(ROUNDS)]
    return {name: [times[name] for times in rounds] for name in rounds[0]}


def _one_round() -> dict[str, float]:
    with running_app() as server, running_browser() as browser:
        return {"server answers, s": server.start_seconds} | _press_start(browser.new_page(), server.address)


def _press_start(page: Page, address: str) -> dict[str, float]:
    page.goto(address)
    page.wait_for_selector("#train-start", state="visible")
    started = time.perf_counter()
    page.click("#train-start")
    times = {}
    for name, condition in MOMENTS.items():
        page.wait_for_function(condition, polling=50)
        times[f"{name} after Start, s"] = time.perf_counter() - started
    return times
