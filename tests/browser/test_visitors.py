"""Several visitors on one server: real browsers, and requests without a page."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Page, expect
from test_page import step, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def sentence(page: Page) -> str:
    return page.locator("#train-sentence").inner_text()


def ask(address: str, endpoint: str, *data: Any) -> str:
    """What the server answers to a plain request, without a page or a client library."""
    called = httpx.post(f"{address}gradio_api/call/{endpoint}", json={"data": list(data)}, timeout=30)
    assert called.status_code == 200, called.text
    return httpx.get(f"{address}gradio_api/call/{endpoint}/{called.json()['event_id']}", timeout=30).text


def refused(answer: str) -> None:
    """The server has not done it and says why."""
    assert "event: error" in answer, answer
    assert re.search("does not know you|somebody else's", answer), answer


def test_three_visitors_share_a_server_and_cannot_touch_each_others_runs(
    open_server: Callable[..., Any], visit: Callable[[str], Page]
) -> None:
    server = open_server(GAN_SHARED="1")
    ann, bob, cleo = (visit(server.address) for _ in range(3))
    ann.locator("#train-length input").fill("600")
    ann.click("#train-start")
    wait_for(lambda: step(ann) > 0)
    expect(ann.locator("#train-runs")).to_contain_text("fast-1 · live · yours")

    wait_for(lambda: step(bob) > 0)  # he watches her run
    expect(bob.locator("#train-whose")).to_contain_text("somebody else's")
    expect(bob.locator("#train-runs")).to_contain_text("fast-1 · live")
    expect(bob.locator("#train-runs")).not_to_contain_text("· yours")
    for button in ("pause", "stop", "step", "save"):
        expect(bob.locator(f"#train-{button}")).to_be_hidden()

    bobs_token = bob.evaluate("localStorage.getItem('gan-visitor')")
    for token in ("", "made-up", bobs_token):
        for endpoint, data in (
            ("pause", ["fast-1"]),
            ("stop", ["fast-1"]),
            ("step", ["fast-1"]),
            ("save", ["fast-1"]),
            ("rates", [1e-5, 1e-5, "fast-1"]),
            ("rename", ["fast-1", "bobs"]),
            ("delete", ["fast-1"]),
            ("resume", ["fast-1", 5, "seconds"]),
        ):
            refused(ask(server.address, endpoint, *data, token))
        for handler, data in (  # what the page itself calls
            ("pause", []),
            ("stop", []),
            ("step", []),
            ("save", []),
            ("apply_rates", [1e-5, 1e-5]),
            ("resume", ["fast-1", 5, "seconds"]),
            ("rename", ["fast-1", "bobs"]),
        ):
            refused(ask(server.address, f"page_{handler}", *data, "fast-1", token, "en"))
    taken = ["fast", "fast-1", 60, "seconds", {}, bobs_token]
    assert "There is a run" in ask(server.address, "start", *taken)
    file = httpx.post(f"{server.address}gradio_api/upload", files={"files": ("x.safetensors", b"x")}).json()[
        0
    ]
    sent = {"path": file, "meta": {"_type": "gradio.FileData"}}
    assert "does not know you" in ask(server.address, "page_upload", sent, "", "made-up", "en")
    assert "does not know you" in ask(server.address, "sample", "fast-1", 0, 64, 1, "best", "mixed", "")
    assert "Training fast-1" in sentence(ann)

    bob.locator("#train-length input").fill("600")
    bob.click("#train-start")
    expect(bob.locator("#train-sentence")).to_have_text("Training fast-2")
    wait_for(lambda: step(bob) > 0)
    before = step(ann), step(bob)
    wait_for(lambda: step(ann) > before[0] and step(bob) > before[1])
    expect(bob.locator("#train-facts")).to_contain_text("runs take turns")
    assert sentence(ann) == "Training fast-1"

    cleo.get_by_role("tab", name="Sample").click()
    for run in ("fast-1", "fast-2"):
        cleo.locator("#sample-source input").click()
        cleo.get_by_role("option", name=f"{run} · live").click()
        expect(cleo.locator("#sample-grid figcaption")).to_contain_text(f"{run} · seed 0")

    ann.reload()  # her token is kept
    expect(ann.locator("#train-pause")).to_be_visible()
    ann.click("#train-stop")
    expect(ann.locator("#train-sentence")).to_have_text("fast-1 is stopped and saved")
    expect(bob.locator("#train-sentence")).to_have_text("Training fast-2")
    bob.get_by_role("radio", name=re.compile("fast-1 ·")).check()  # hers is saved, and not his to touch
    bob.locator("#train-manage button").first.click()
    expect(bob.locator("#train-upload")).to_be_visible()
    for button in ("resume", "rename", "delete", "new-name"):
        expect(bob.locator(f"#train-{button}")).to_be_hidden()
    ann.locator("#train-manage button").first.click()
    for button in ("resume", "rename", "delete", "new-name"):
        expect(ann.locator(f"#train-{button}")).to_be_visible()
    log = server.log.read_text()
    assert "Traceback" not in log
    assert bobs_token not in log


def test_watching_another_run_and_going_back_to_ones_own(
    open_server: Callable[..., Any], visit: Callable[[str], Page]
) -> None:
    server = open_server(GAN_SHARED="1", GAN_ACTIVE_RUNS="1")
    ann, bob = (visit(server.address) for _ in range(2))
    ann.locator("#train-length input").fill("600")
    ann.click("#train-start")
    wait_for(lambda: step(ann) > 0)
    bob.click("#train-start")
    expect(bob.locator("#train-sentence")).to_contain_text("fast-2 waits in line: place 1, about 9:")
    bob.get_by_role("radio", name="fast-1 · live").check()
    expect(bob.locator("#train-sentence")).to_have_text("Training fast-1")
    expect(bob.locator("#train-stop")).to_be_hidden()
    expect(bob.locator("#train-start")).to_be_hidden()  # one at a time, and his waits
    bob.get_by_role("button", name="Back to yours: fast-2").click()
    expect(bob.locator("#train-sentence")).to_contain_text("fast-2 waits in line")
    ann.click("#train-stop")
    wait_for(lambda: sentence(bob) == "Training fast-2")


def test_only_who_has_the_key_trains_and_the_others_watch_and_sample(
    open_server: Callable[..., Any], visit: Callable[[str], Page]
) -> None:
    server = open_server(GAN_PRESENTER_KEY="open sesame")
    teacher, pupil, late = (visit(server.address) for _ in range(3))
    for page in (teacher, pupil, late):
        expect(page.locator("#train-start")).to_be_hidden()
    late.get_by_role("tab", name="Sample").click()
    expect(late.locator("#sample-grid figcaption")).to_contain_text("best · seed 0")
    expect(pupil.locator("#train-watcher")).to_contain_text("The presenter trains here")
    teacher.locator("#presenter button").first.click()
    teacher.locator("#presenter-key input").fill("open says me")
    teacher.click("#presenter-enter")
    expect(teacher.locator(".toast-wrap")).to_contain_text("not the presenter's key")
    teacher.locator("#presenter-key input").fill("open sesame")
    teacher.click("#presenter-enter")
    expect(teacher.locator("#train-start")).to_be_visible()
    expect(teacher.locator("#presenter")).to_be_hidden()
    teacher.locator("#train-length input").fill("600")
    teacher.click("#train-start")
    wait_for(lambda: step(teacher) > 0 and step(pupil) > 0)

    pupils_token = pupil.evaluate("localStorage.getItem('gan-visitor')")
    assert "Only the presenter trains" in ask(
        server.address, "start", "fast", "mine", 60, "seconds", {}, pupils_token
    )
    for order in ("pause", "stop", "step", "save"):
        assert "somebody else's" in ask(server.address, order, "fast-1", pupils_token)
    expect(late.locator("#sample-grid figcaption")).to_contain_text(
        "fast-1 · seed 0"
    )  # it has begun to write
    expect(pupil.locator("#train-stop")).to_be_hidden()
    pupil.get_by_role("tab", name="Sample").click()
    expect(pupil.locator("#sample-grid figcaption")).to_contain_text("seed 0")
    pupil.locator("#sample-seed input[type=number]").fill("7")
    pupil.locator("#sample-seed input[type=number]").press("Enter")
    expect(pupil.locator("#sample-grid figcaption")).to_contain_text("seed 7")

    teacher.reload()  # typed once
    expect(teacher.locator("#train-pause")).to_be_visible()
    teacher.goto(f"{server.address}?view=projector")
    expect(teacher.locator("#train-sentence")).to_have_text("Training fast-1")
    expect(teacher.locator("#train-pause")).to_be_hidden()
    size = teacher.locator("#train-sentence").evaluate("node => parseFloat(getComputedStyle(node).fontSize)")
    assert size >= 30
    assert "open sesame" not in server.log.read_text()
    assert teacher.evaluate("localStorage.getItem('gan-visitor')") not in server.log.read_text()
    for _ in range(5):
        answer = ask(server.address, "present", "guess", "", pupils_token, "en")
        assert "not the presenter's key" in answer
    assert "too often" in ask(server.address, "present", "open sesame", "", pupils_token, "en")


@pytest.fixture
def framing() -> Iterator[Callable[[str], str]]:
    """`framing(body)`: the address of a page at another origin."""
    body = b""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    def show(html: str) -> str:
        nonlocal body
        body = html.encode()
        return f"http://localhost:{serving.server_port}/"

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield show
        serving.shutdown()


def test_a_space_serves_the_page_in_a_frame_and_trains_in_it(
    open_server: Callable[..., Any], browser: Browser, framing: Callable[[str], str]
) -> None:
    server = open_server(
        SYSTEM="spaces",
        SPACE_ID="somebody/live-gan",
        HOST="",
        PORT="",
        GRADIO_SERVER_NAME="0.0.0.0",
        GRADIO_SERVER_PORT="17960",
    )
    address = re.sub(r"//[^:/]+", "//127.0.0.1", server.address)
    page = browser.new_page(locale="en-US")
    page.goto(framing(f'<iframe src="{address}" width="1300" height="900"></iframe>'))
    frame = page.frame_locator("iframe")
    expect(frame.locator("#train-runs")).to_contain_text("best", timeout=60_000)
    frame.locator("#train-start").click()
    expect(frame.locator("#train-sentence")).to_have_text("Training fast-1", timeout=60_000)
    expect(frame.locator("#train-grid img")).to_have_attribute("src", re.compile("live/fast-1/grid"))
    expect(frame.locator("#train-runs")).to_contain_text("· yours")
    page.close()

    health = httpx.get(f"{address}gradio_api/gan/health", timeout=10).json()
    assert health["status"] == "ok"
    assert health["active_runs"] == 1
    assert health["memory_megabytes"] > 100


def test_a_program_trains_with_a_token_of_its_own(open_server: Callable[..., Any]) -> None:
    server = open_server(GAN_SHARED="1")
    client = Client(server.address, verbose=False)
    with pytest.raises(Exception, match="does not know you"):
        client.predict("fast", api_name="/start")
    token = client.predict(api_name="/visitor")["token"]
    assert client.predict(name="mine", length=600, token=token, api_name="/start")["run"] == "mine"
    deadline = time.monotonic() + 60
    while client.predict("mine", api_name="/status")["step"] == 0:
        assert time.monotonic() < deadline
    assert client.predict(token=token, api_name="/pause")["status"] == "paused"
    assert client.predict(token=token, api_name="/stop")["status"] == "stopped"
