"""The page in a real browser, on real MNIST, against a server process that is really killed."""

import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from gan import checkpoint

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def src(page: Page, panel: str) -> str:
    return page.locator(f"#{panel} img").first.get_attribute("src") or ""


def step(page: Page) -> int:
    found = re.search(r"step\s*(\d+)", page.locator("#train-status").inner_text())
    return int(found.group(1)) if found else 0


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def open_page(page: Page, address: str, tab: str = "Train") -> None:
    page.goto(address)
    expect(page.get_by_role("tab", name=tab)).to_be_visible()
    page.get_by_role("tab", name=tab).click()


def test_a_run_trains_pauses_survives_reload_and_kill_and_can_be_sampled(server: Any, page: Page) -> None:
    open_page(page, server.address)
    assert "showcase" in src(page, "train-grid")
    page.locator("#train-recipe input").click()
    page.get_by_role("option", name="dcgan").click()
    page.locator("#train-length input").fill("600")
    page.click("#train-start")
    wait_for(lambda: src(page, "train-loss-plot") and src(page, "train-score-plot"))
    wait_for(lambda: "live" in src(page, "train-grid"))
    first = src(page, "train-grid")
    wait_for(lambda: src(page, "train-grid") != first)

    page.click("#train-pause")
    expect(page.locator("#train-resume")).to_be_visible()
    wait_for(lambda: step(page) > 0)
    page.wait_for_timeout(1500)
    paused = step(page)
    page.wait_for_timeout(1500)
    assert step(page) == paused

    page.reload()
    expect(page.locator("#train-resume")).to_be_visible()
    wait_for(lambda: step(page) == paused)
    page.click("#train-step")
    wait_for(lambda: step(page) == paused + 1)
    page.click("#train-save")
    page.wait_for_timeout(1000)
    page.click("#train-resume")
    wait_for(lambda: step(page) > paused + 1)
    page.click("#train-pause")
    expect(page.locator("#train-resume")).to_be_visible()
    page.wait_for_timeout(2500)
    last = step(page)

    server.end(signal.SIGKILL)
    server.start()
    open_page(page, server.address)
    expect(page.locator("#train-runs")).to_contain_text("dcgan-1 ·")
    expect(page.locator("#train-runs")).to_contain_text(f"step {last}")
    page.click("#train-resume")
    wait_for(lambda: step(page) >= last)
    page.click("#train-pause")

    page.get_by_role("tab", name="Sample").click()
    number = page.locator("#sample-seed input[type=number]")

    def picture_of(seed: str) -> str:
        before = src(page, "sample-grid")
        number.fill(seed)
        number.press("Enter")
        wait_for(lambda: src(page, "sample-grid") not in ("", before))
        return src(page, "sample-grid")

    wait_for(lambda: src(page, "sample-grid") != "")
    page.wait_for_timeout(1500)
    third, fourth = picture_of("3"), picture_of("4")
    assert third != fourth
    assert picture_of("3") == third
    with page.expect_download() as download:
        page.click("#sample-download")
    assert download.value.suggested_filename.endswith(".png")


def test_the_page_asks_nothing_from_outside(idle_server: Any, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for tab in ("Train", "Sample", "Timeline"):
        open_page(page, idle_server.address, tab)
        page.wait_for_timeout(1000)
    strangers = [url for url in asked if not url.startswith((idle_server.address, "data:", "blob:"))]
    assert asked
    assert strangers == []


def test_the_language_is_the_browsers_or_the_one_chosen(idle_server: Any, browser: Any) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(idle_server.address)
    expect(page.locator("#train-start")).to_have_text("开始")
    expect(page.locator("#train-sentence")).to_contain_text("请按")
    page.get_by_role("link", name="EN").click()
    expect(page.locator("#train-start")).to_have_text("Start")
    expect(page.locator("#train-sentence")).to_contain_text("Press Start")
    context.close()


def test_bad_input_is_answered_with_a_sentence_and_loses_nothing(idle_server: Any, page: Page) -> None:
    open_page(page, idle_server.address)
    page.locator("#train-length input").fill("-5")
    page.click("#train-start")
    expect(page.locator(".toast-wrap")).to_contain_text("Length is -5")
    expect(page.locator("#train-start")).to_be_visible()
    assert page.locator("#train-length input").input_value() == "-5"
    page.locator("#train-manage button").first.click()
    with page.expect_file_chooser() as chooser:
        page.click("#train-upload")
    chooser.value.set_files(
        {"name": "x.safetensors", "mimeType": "application/octet-stream", "buffer": b"not a checkpoint"}
    )
    expect(page.locator(".toast-wrap")).to_contain_text("not a readable checkpoint")
    assert "Traceback" not in page.content()
    log = idle_server.log.read_text()
    assert "refused: length is -5" in log
    assert "not a readable checkpoint" in log
    assert "Traceback" not in log


def test_named_endpoints_start_pause_resume_stop_status_and_sample(server: Any) -> None:
    client = Client(server.address, verbose=False)
    assert client.predict(api_name="/status")["status"] == "idle"
    with pytest.raises(Exception, match="There is no recipe 'nope'"):
        client.predict("nope", api_name="/start")
    assert client.predict("dcgan", "mine", 600, api_name="/start")["run"] == "mine"
    with pytest.raises(Exception, match="'mine' is training"):
        client.predict(api_name="/start")
    wait_for(lambda: client.predict(api_name="/status")["step"] > 2)
    first = client.predict(seed=3, count=16, api_name="/sample")
    assert Path(first).read_bytes().startswith(b"\x89PNG")
    assert client.predict(api_name="/pause")["status"] == "paused"
    assert client.predict(api_name="/resume")["status"] == "training"
    assert client.predict(api_name="/stop")["status"] == "stopped"


def test_ending_the_server_saves_the_run_within_eight_seconds(server: Any) -> None:
    client = Client(server.address, verbose=False)
    client.predict("dcgan", "mine", 600, api_name="/start")
    wait_for(lambda: client.predict(api_name="/status")["step"] > 2)
    started = time.monotonic()
    assert server.end(signal.SIGTERM) == 0
    assert time.monotonic() - started < 8
    assert (server.folder / "mine" / "checkpoint.safetensors").exists()


def test_saved_runs_are_downloaded_renamed_deleted_uploaded_and_lend_their_weights(
    server: Any, page: Page, tmp_path: Path
) -> None:
    open_page(page, server.address)
    page.locator("#train-length input").fill("1")
    page.click("#train-start")
    runs = page.locator("#train-runs")
    expect(runs).to_contain_text("fast-1 ·", timeout=60_000)
    expect(page.locator("#train-sentence")).to_contain_text("finished", timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="checkpoint").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)

    page.locator("#train-manage button").first.click()
    page.locator("#train-new-name textarea, #train-new-name input").fill("first")
    page.click("#train-rename")
    expect(runs).to_contain_text("first ·")
    expect(runs).not_to_contain_text("fast-1 ·")

    with page.expect_file_chooser() as chooser:
        page.click("#train-upload")
    chooser.value.set_files(file)
    expect(runs).to_contain_text("upload-1")

    page.get_by_role("radio", name="first").check()
    page.click("#train-delete")
    expect(page.locator("#train-delete-question")).to_contain_text("Delete first and all its files")
    page.click("#train-delete-no")
    expect(page.locator("#train-delete-question")).to_be_hidden()
    page.click("#train-delete")
    page.get_by_role("radio", name="upload-1").check()  # the question named another one
    page.click("#train-delete-yes")
    expect(runs).not_to_contain_text("first ·")
    assert not (server.folder / "first").exists()

    page.get_by_role("radio", name="upload-1").check()
    page.click("#train-from-weights")
    expect(page.locator("#train-sentence")).to_contain_text("finished", timeout=60_000)
    expect(runs).to_contain_text("fast-1 ·")


def test_one_click_follows_the_advice_for_a_run_in_which_d_wins(server: Any, page: Page) -> None:
    open_page(page, server.address)
    page.locator("#train-length input").fill("600")
    page.locator("#train-settings button").first.click()
    page.locator("#train-lr-g input").fill("0.000001")
    page.click("#train-start")
    expect(page.locator("#train-diagnosis")).to_contain_text("D is winning", timeout=60_000)
    page.click("#train-suggestion")
    expect(page.locator(".toast-wrap")).to_contain_text("From the next step on")
    lower = float(page.locator("#train-lr-d input").input_value())
    assert lower < 0.004
    expect(page.locator("#train-quality-plot img")).to_be_visible(timeout=30_000)
    expect(page.locator("#train-coverage li").first).to_be_visible()
    expect(page.locator("#train-facts")).to_contain_text("Frechet distance")
    page.click("#train-stop")
    file = server.folder / "fast-1" / "checkpoint.safetensors"
    wait_for(file.exists)
    wait_for(lambda: checkpoint.read_summary(file).config.lr_d == lower)  # an autosave may have come before


def test_ones_own_page_shows_nothing_of_a_room(idle_server: Any, page: Page) -> None:
    open_page(page, idle_server.address)
    expect(page.locator("#train-runs")).to_contain_text("best")
    for part in ("#presenter", "#train-whose", "#train-watcher", ".gan-header a.if-shared"):
        expect(page.locator(part)).to_be_hidden()
    expect(page.locator("#train-runs")).not_to_contain_text("· yours")
    assert page.evaluate("localStorage.getItem('gan-visitor')") is None
    assert not (idle_server.folder / ".secret").exists()


def test_what_somebody_types_is_shown_as_text(idle_server: Any, page: Page) -> None:
    open_page(page, idle_server.address)
    page.locator("#train-settings button").first.click()
    page.locator("#train-name input, #train-name textarea").first.fill(
        "<img src=x onerror='window.hacked=1'>"
    )
    page.click("#train-start")
    expect(page.locator(".toast-wrap")).to_contain_text("cannot name a run")
    page.wait_for_timeout(500)
    assert page.evaluate("window.hacked") is None
    assert page.locator(".toast-wrap img[onerror]").count() == 0


@pytest.mark.long
def test_a_hidden_page_asks_nothing_and_one_that_slept_catches_up(server: Any, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    open_page(page, server.address)
    page.locator("#train-length input").fill("8")
    page.click("#train-start")
    wait_for(lambda: step(page) > 0)
    show(page, "hidden")
    page.wait_for_timeout(1000)
    asked.clear()
    page.wait_for_timeout(3000)
    assert [url for url in asked if "/gan/" in url] == []
    page.context.set_offline(True)
    page.clock.fast_forward("01:00:00")
    show(page, "visible")
    expect(page.locator("#train-sentence")).to_contain_text("does not answer")
    page.wait_for_timeout(8000)
    page.context.set_offline(False)
    expect(page.locator("#train-sentence")).to_contain_text("finished")
    page.locator("#train-length input").fill("600")
    page.click("#train-resume")
    expect(page.locator("#train-pause")).to_be_visible()
    page.click("#train-stop")
    expect(page.locator("#train-sentence")).to_contain_text("stopped and saved")


def show(page: Page, state: str) -> None:
    """Make the page believe that it is "hidden" or "visible"."""
    page.evaluate(
        """state => {
            Object.defineProperty(document, 'visibilityState', {get: () => state, configurable: true});
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        state,
    )


def test_an_open_page_goes_on_after_the_server_was_restarted(server: Any, page: Page) -> None:
    open_page(page, server.address)
    page.locator("#train-length input").fill("1")
    page.click("#train-start")
    expect(page.locator("#train-sentence")).to_contain_text("finished", timeout=60_000)
    server.end(signal.SIGTERM)
    expect(page.locator("#train-sentence")).to_contain_text("does not answer", timeout=20_000)
    server.start()
    expect(page.locator("#train-sentence")).to_contain_text("Press Start", timeout=60_000)
    expect(page.locator("#train-runs")).to_contain_text("fast-1 ·")
    page.locator("#train-length input").fill("600")
    page.click("#train-resume")
    expect(page.locator("#train-pause")).to_be_visible()
    wait_for(lambda: step(page) > 0)
    assert "list of choices" not in server.log.read_text()


def test_the_sample_tab_shows_what_was_trained_while_it_was_hidden(server: Any, page: Page) -> None:
    open_page(page, server.address, "Sample")
    expect(page.locator("#sample-grid")).to_contain_text("best · seed 0")
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-length input").fill("1")
    page.click("#train-start")
    expect(page.locator("#train-sentence")).to_contain_text("finished", timeout=60_000)
    page.wait_for_timeout(2000)
    page.get_by_role("tab", name="Sample").click()
    wait_for(lambda: src(page, "sample-grid") != "", 20)
    expect(page.locator("#sample-grid")).to_contain_text("fast-1 · seed 0")
    number = page.locator("#sample-seed input[type=number]")
    number.fill("")
    page.wait_for_timeout(800)
    number.fill("7.5")
    number.press("Enter")
    expect(page.locator("#sample-grid")).to_contain_text("seed 7.5")
    assert "Traceback" not in server.log.read_text()


def test_a_digit_is_chosen_and_looked_at_close_up(idle_server: Any, page: Page) -> None:
    open_page(page, idle_server.address, "Sample")
    expect(page.locator("#sample-grid")).to_contain_text("best · seed 0")
    picker = page.locator("#sample-digit")
    expect(picker).to_be_visible()

    def picture_after(action: Any) -> str:
        before = src(page, "sample-grid")
        action()
        wait_for(lambda: src(page, "sample-grid") not in ("", before))
        return src(page, "sample-grid")

    seven = picture_after(lambda: picker.get_by_label("7", exact=True).check())
    table = picture_after(lambda: picker.get_by_label("table of all").check())
    assert seven != table

    closeup = page.locator("#sample-closeup")
    expect(closeup).to_contain_text("Click a digit")
    image = page.locator("#sample-grid img")
    wait_for(lambda: image.evaluate("image => image.complete && image.naturalWidth"))
    box = image.bounding_box()
    assert box
    image.click(position={"x": box["width"] * 0.75, "y": 10})  # the eighth of ten columns
    expect(closeup).to_contain_text("Picture no. 8")
    expect(closeup.locator("dd").nth(1)).to_contain_text("7 ")
    expect(closeup.locator(".gan-near img")).to_have_count(2, timeout=120_000)
    image.press("ArrowLeft")
    image.press("Enter")
    expect(closeup).to_contain_text("Picture no. 7")

    page.locator("#sample-source input").click()
    page.get_by_role("option", name="fast-1-minute").click()
    expect(page.locator("#sample-grid")).to_contain_text("fast-1-minute")
    expect(picker).to_be_hidden()
    assert "Traceback" not in idle_server.log.read_text()


def test_the_timeline_scrubs_plays_and_makes_a_film(server: Any, page: Page) -> None:
    open_page(page, server.address)
    page.locator("#train-length input").fill("3")
    page.click("#train-start")
    expect(page.locator("#train-sentence")).to_contain_text("finished", timeout=60_000)
    page.get_by_role("tab", name="Timeline").click()
    expect(page.locator("#timeline-run input")).to_have_value(re.compile("fast-1 ·"))
    slider, scene = page.locator("#timeline input[type=range]"), page.locator("#timeline .scene")
    wait_for(lambda: int(slider.get_attribute("max") or 0) > 10)
    said = page.locator("#timeline output")
    last, cursor = said.inner_text(), page.locator(".gan-cursor i")
    place = cursor.bounding_box()
    wait_for(lambda: scene.get_attribute("src"))
    shown = scene.get_attribute("src")
    slider.fill("0")
    expect(said).to_have_text("step 1")
    wait_for(lambda: scene.get_attribute("src") != shown)
    moved = cursor.bounding_box()
    assert place
    assert moved
    assert moved["x"] < place["x"] - 100
    page.click("#timeline .play")
    expect(said).to_have_text(last, timeout=20_000)
    with page.expect_download() as download:
        page.click("#timeline .gif")
    assert download.value.suggested_filename == "fast-1-timeline.gif"
    assert download.value.path().read_bytes().startswith(b"GIF8")

    page.locator("#timeline-run input").click()
    page.get_by_role("option", name="classic-10-epochs").click()
    expect(said).to_have_text("step 4,680")


def test_a_loss_is_chosen_on_the_page_and_learning_rates_change_while_it_trains(
    server: Any, page: Page
) -> None:
    open_page(page, server.address)
    page.locator("#train-length input").fill("600")
    page.locator("#train-settings button").first.click()
    page.locator("#train-loss input").click()
    page.get_by_role("option", name="hinge").click()
    page.locator("#train-r1 input").fill("0.5")
    page.click("#train-start")
    wait_for(lambda: step(page) > 2)
    page.locator("#train-lr-g input").fill("0.00001")
    page.click("#train-rates")
    page.wait_for_timeout(1000)
    page.click("#train-stop")
    expect(page.locator("#train-sentence")).to_contain_text("stopped")
    file = server.folder / "fast-1" / "checkpoint.safetensors"
    wait_for(file.exists)
    wait_for(lambda: checkpoint.read_summary(file).config.lr_g == 1e-5)  # an autosave may have come before
    config = checkpoint.read_summary(file).config
    assert (config.loss, config.r1) == ("hinge", 0.5)


def test_many_signals_end_the_server_like_one(server: Any) -> None:
    for number in range(300):
        server._process.send_signal(signal.SIGINT if number % 2 else signal.SIGTERM)
    assert server.end(signal.SIGINT) == 0
