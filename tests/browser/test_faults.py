"""What goes wrong on a server for several: each ends in a sentence on the page, and the others go on."""

import resource
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from test_page import step, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.mark.long
def test_a_full_disk_is_said_and_the_others_go_on(
    open_server: Callable[..., Any], visit: Callable[[str], Page]
) -> None:
    server = open_server(GAN_SHARED="1")
    ann, bob = (visit(server.address) for _ in range(2))
    for page in (ann, bob):
        page.locator("#train-length input").fill("600")
        page.click("#train-start")
        wait_for(lambda page=page: step(page) > 0)
    problem = ann.locator("#train-problem")
    expect(problem).to_be_hidden()
    # No file may grow beyond this: to the server it is a disk without room for a checkpoint.
    resource.prlimit(server.process, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    ann.click("#train-save")
    expect(problem).to_contain_text("Could not save 'fast-1': File too large")
    ann.click("#train-stop")
    expect(ann.locator("#train-sentence")).to_have_text("fast-1 is paused")  # what is not saved is kept
    before = step(bob)
    wait_for(lambda: step(bob) > before)
    resource.prlimit(server.process, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ann.click("#train-stop")
    expect(ann.locator("#train-sentence")).to_have_text("fast-1 is stopped and saved")
    expect(problem).to_be_hidden()
    assert (server.folder / "fast-1" / "checkpoint.safetensors").exists()


@pytest.mark.long
def test_a_restart_under_open_pages_leaves_everybody_their_run(
    open_server: Callable[..., Any], visit: Callable[[str], Page]
) -> None:
    server = open_server(GAN_SHARED="1")
    ann, bob = (visit(server.address) for _ in range(2))
    ann.locator("#train-length input").fill("600")
    ann.click("#train-start")
    wait_for(lambda: step(ann) > 0)
    server.end(signal.SIGTERM)
    for page in (ann, bob):
        expect(page.locator("#train-sentence")).to_contain_text("does not answer", timeout=20_000)
    server.start()
    for page in (ann, bob):
        expect(page.locator("#train-sentence")).to_contain_text("Press Start", timeout=60_000)
        page.get_by_role("radio", name="fast-1 ·").check()
    expect(ann.locator("#train-runs")).to_contain_text("% · yours")
    expect(bob.locator("#train-runs")).not_to_contain_text("· yours")
    expect(bob.locator("#train-resume")).to_be_hidden()
    ann.click("#train-resume")
    expect(ann.locator("#train-sentence")).to_have_text("Training fast-1", timeout=30_000)
    expect(bob.locator("#train-whose")).to_contain_text("somebody else's")


def test_a_file_beyond_the_limit_is_not_even_read(open_server: Callable[..., Any]) -> None:
    server = open_server(GAN_UPLOAD_MEGABYTES="1")
    address = f"{server.address}gradio_api/upload"
    assert httpx.post(address, files={"files": ("small.safetensors", bytes(2**19))}).status_code == 200
    assert httpx.post(address, files={"files": ("large.safetensors", bytes(2**21))}).status_code == 413
