"""The page below a sub-path, behind a reverse proxy."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from test_page import step, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(240)]

PROXY = Path(__file__).parent / "reverse_proxy.py"
ADDRESS = "http://127.0.0.1:18970/gan/"


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=10).status_code == 200
    except httpx.ConnectError:
        return False


def natural_width(page: Page, panel: str) -> int:
    return int(page.locator(f"{panel} img").first.evaluate("image => image.naturalWidth"))


def test_the_page_trains_and_samples_below_a_sub_path(
    open_server: Callable[..., Any], visit: Callable[[str], Page]
) -> None:
    server = open_server(GRADIO_ROOT_PATH="/gan")
    with subprocess.Popen([sys.executable, str(PROXY), server.address, "/gan", "18970"]) as proxy:
        try:
            wait_for(lambda: answers(f"{ADDRESS}gradio_api/gan/health"))
            page = visit(ADDRESS)
            page.locator("#train-length input").fill("600")
            page.click("#train-start")
            wait_for(lambda: step(page) > 0)
            expect(page.locator("#train-runs")).to_contain_text("· yours")  # strangers may come this way
            for panel in ("#train-grid", "#train-loss-plot"):
                wait_for(lambda panel=panel: natural_width(page, panel) > 100)
            page.get_by_role("tab", name="Sample").click()
            expect(page.locator("#sample-grid figcaption")).to_contain_text("fast-1 · seed 0")
            page.get_by_role("tab", name="Train").click()
            page.click("#train-stop")
            expect(page.locator("#train-sentence")).to_have_text("fast-1 is stopped and saved")
        finally:
            proxy.kill()
