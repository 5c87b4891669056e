"""What watchers poll: a token, pictures drawn once, and routes that reveal no more than the page."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from patience import wait_for
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gan import plots
from gan.checkpoint import Checkpoint, slim
from gan.config import RunConfig, ServerSettings
from gan.data import Digits
from gan.errors import RunError
from gan.history import COLUMNS
from gan.past import Past
from gan.snapshot import Snapshot, Status, take_snapshot
from gan.studio import Studio
from gan.trainer import Trainer
from gan.ui import films
from gan.ui import live as live_module
from gan.ui.desk import Desk
from gan.ui.downloads import download_address
from gan.ui.live import Live, PictureStore, clock
from gan.ui.reception import Reception
from gan.ui.routes import routes

CONFIG = RunConfig(latent_dim=4, batch_size=8, precision="fp32", ema=0.9, length=5000, unit="steps")


class Watched:
    """A Studio whose snapshot the test sets, and its routes as a client sees them."""

    def __init__(self, folder: Path, digits: Digits) -> None:
        self.studio = Studio(ServerSettings(checkpoints=folder, device="cpu"), threads=1)
        self.studio.digits = lambda *_, **__: digits  # type: ignore[method-assign]
        self.trainer = Trainer(CONFIG, digits, torch.device("cpu"))
        self.pictures = PictureStore()
        self.live = Live(self.studio)
        self.client = TestClient(
            Starlette(routes=routes(self.studio, Reception(self.studio), self.live, self.pictures, Desk()))
        )
        self.version = 0

    def publish(self, status: Status = Status.TRAINING, steps: int = 0, run: str = "mine") -> Snapshot:
        for _ in range(steps):
            self.trainer.step()
        self.version += 1
        snapshot = take_snapshot(run, status, self.trainer)
        object.__setattr__(snapshot, "version", self.version)
        self.studio._worker.snapshots = {run: snapshot}
        return snapshot

    def picture(self, name: str) -> str:
        pictures = self.client.get("/gradio_api/gan/live?lang=en").json()["pictures"]
        return str(pictures[f"train-{name}"])


@pytest.fixture
def watched(tmp_path: Path, digits: Digits) -> Iterator[Watched]:
    made = Watched(tmp_path / "runs", digits)
    yield made
    made.studio.close()


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [100.0]
    monkeypatch.setattr(live_module.time, "monotonic", lambda: now[0])

    def pass_(seconds: float) -> None:
        now[0] += seconds

    return pass_


def test_every_watcher_gets_the_same_bytes_drawn_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    grid_png = plots.grid_png
    monkeypatch.setattr(plots, "grid_png", lambda *what: drawn.append(1) or grid_png(*what))
    watched.publish(steps=2)
    answers = [watched.client.get(watched.picture("grid")) for _ in range(5)]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert "immutable" in answers[0].headers["cache-control"]
    assert Image.open(BytesIO(answers[0].content)).format == "PNG"
    assert len(drawn) == 1


def test_nothing_is_drawn_while_nobody_looks(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> bytes:
        raise AssertionError("a picture was drawn for nobody")

    for name in ("grid_png", "loss_plot_png", "score_plot_png"):
        monkeypatch.setattr(plots, name, never)
    for _ in range(3):
        watched.publish(steps=1)
        assert watched.picture("grid")


def test_an_address_changes_with_the_picture_and_not_faster_than_it_may(
    watched: Watched, moment: Callable[[float], None]
) -> None:
    watched.publish(steps=1)
    first = watched.picture("loss-plot")
    watched.publish(steps=1)
    assert watched.picture("loss-plot") == first
    moment(1.1)
    second = watched.picture("loss-plot")
    assert second != first
    watched.publish()  # nothing was trained in between
    moment(1.1)
    assert watched.picture("loss-plot") == second
    watched.publish(Status.PAUSED, steps=1)  # the last step shows at once
    assert watched.picture("loss-plot") not in (first, second)


def test_an_old_address_still_answers_with_a_picture(
    watched: Watched, moment: Callable[[float], None]
) -> None:
    addresses = []
    for _ in range(4):
        watched.publish(steps=1)
        moment(5)
        addresses.append(watched.picture("grid"))
        assert watched.client.get(addresses[-1]).status_code == 200
    assert watched.client.get(addresses[0]).status_code == 200


def test_only_a_picture_that_stays_behind_its_address_is_kept_by_browsers(watched: Watched) -> None:
    watched.publish(steps=1)
    address = watched.picture("grid")
    assert "immutable" in watched.client.get(address).headers["cache-control"]
    of_another_server = address.replace(watched.live.session, "00000000")
    of_another_moment = address.replace("-1.png", "-999.png")
    for other in (of_another_server, of_another_moment):
        assert other != address
        assert watched.client.get(other).headers["cache-control"] == "no-store"


def test_before_the_first_run_finished_digits_are_shown_and_no_plots(watched: Watched) -> None:
    token = watched.client.get("/gradio_api/gan/live?lang=zh").json()
    assert token["state"] == "idle"
    assert "开始" in token["sentence"]
    assert token["pictures"]["train-loss-plot"] == ""
    real = watched.client.get(token["pictures"]["train-grid"])
    assert np.asarray(Image.open(BytesIO(real.content))).any()


@pytest.mark.parametrize(
    "address",
    [
        "live/nothing/abc-1.png",
        "live/grid/abc-1.png",  # no run yet
        "live/grid/1.png",
        "picture/abc.png",
        "real/mnist/7.png",
        "real/fashion-mnist/64.png",  # nobody trains on it, so nobody may make the server fetch it
        "real/other/64.png",
        "run/absent/checkpoint.safetensors",
        "run/absent/loss.txt",
        "run/mine/config.json",
        "run/..%2f..%2fetc/passwd",
        "run/..%2fmine/checkpoint.safetensors",
        "run/absent/timeline",
        "run/absent/timeline/1.png",
        "run/..%2fmine/timeline",
        "run/mine/timeline/x.png",
        f"run/mine/timeline/{'9' * 5000}.png",
        "run/mine/timeline/-1.png",
    ],
)
def test_what_does_not_exist_is_not_found(watched: Watched, address: str) -> None:
    answer = watched.client.get(f"/gradio_api/gan/{address}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_everything_of_a_run_can_be_downloaded(watched: Watched) -> None:
    watched.publish(Status.STOPPED, steps=40, run="数字-1")
    watched.studio.store.save("数字-1", watched.trainer)

    def get(file: str) -> bytes:
        answer = watched.client.get(download_address("数字-1", file))
        assert answer.status_code == 200
        assert "attachment" in answer.headers["content-disposition"]
        return answer.content

    assert get("checkpoint.safetensors") == watched.studio.store.path("数字-1").read_bytes()
    assert get("loss.txt").startswith(b"[1/")
    assert get("history.csv").count(b"\n") == 41
    assert all(get(plot).startswith(b"\x89PNG") for plot in ("losses.png", "scores.png"))
    assert watched.client.get(download_address("数字-1", "quality.png")).status_code == 404  # nobody looked
    watched.trainer.add_look(50.0, 5.0, 0.9, [0.1] * 10)
    watched.publish(Status.STOPPED, run="数字-1")
    assert get("quality.png").startswith(b"\x89PNG")
    watched.studio.store.timeline("数字-1").keep(1, watched.trainer.networks("x"))
    assert get("timeline.gif").startswith(b"GIF8")


def test_a_slim_run_gives_its_checkpoint_and_a_sentence_for_the_rest(watched: Watched) -> None:
    watched.publish(steps=1)
    watched.studio.store.save("full", watched.trainer)
    watched.studio.store.save_slim("slim", watched.studio.store.load("full"))
    assert watched.client.get(download_address("slim", "checkpoint.safetensors")).status_code == 200
    answer = watched.client.get(download_address("slim", "history.csv"))
    assert (answer.status_code, "no step-by-step history" in answer.text) == (404, True)


def test_the_token_tells_what_the_judge_found(watched: Watched) -> None:
    def token(language: str) -> dict[str, Any]:
        answer: dict[str, Any] = watched.client.get(f"/gradio_api/gan/live?lang={language}").json()
        return answer

    watched.publish(steps=3)
    assert token("en")["coverage"] == []
    assert token("en")["pictures"]["train-quality-plot"] == ""
    watched.trainer.add_look(50.0, 5.0, 0.9, [0.5, 0.5, *[0.0] * 8])
    watched.publish()
    found = token("en")
    assert found["coverage"][1] == [0.5, "digit 1: 50 %"]
    assert found["diagnosis"].startswith("These are the first steps")
    assert found["suggestion"] == ""
    assert token("zh")["coverage"][1][1] == "数字 1:50 %"
    assert ["Frechet distance", "50.0 ± 5.0", True] in found["facts"]
    plot = watched.client.get(found["pictures"]["train-quality-plot"])
    assert plot.content.startswith(b"\x89PNG")


def test_a_last_look_shows_in_the_plot_though_no_step_was_made(watched: Watched) -> None:
    def plot() -> str:
        token = watched.client.get("/gradio_api/gan/live").json()
        return str(token["pictures"]["train-quality-plot"])

    watched.publish(steps=3)
    watched.trainer.add_look(500.0, 5.0, 0.9, [0.1] * 10)
    watched.publish()
    first = plot()
    watched.trainer.add_look(20.0, 1.0, 0.9, [0.1] * 10)
    watched.publish(Status.FINISHED)
    assert plot() != first


def test_advice_is_offered_only_while_the_run_can_take_it(watched: Watched) -> None:
    rows = np.tile(np.array([[1.0, 5.0, 0.99, 0.01, 0.01]], np.float32), (400, 1))
    watched.trainer.history.extend(rows)
    for status, offered in ((Status.TRAINING, True), (Status.PAUSED, True), (Status.FINISHED, False)):
        watched.publish(status)
        token = watched.client.get("/gradio_api/gan/live?lang=en").json()
        assert "D is winning: it spots 99 %" in token["diagnosis"]
        assert bool(token["suggestion"]) is offered


def test_the_timeline_names_its_moments_and_where_the_plot_has_them(watched: Watched) -> None:
    for _ in range(9):
        watched.publish(steps=1)
        watched.studio.store.keep_moment("mine", watched.trainer)
    film = watched.client.get("/gradio_api/gan/run/mine/timeline").json()
    assert [step for step, _ in film["moments"]] == [1, 2, 4, 8, 9]
    assert (film["run"], film["last"]) == ("mine", 9)
    assert 0 < film["left"] < film["right"] < 1
    pictures = [watched.client.get(f"/{address}") for _, address in film["moments"]]
    assert all(answer.content.startswith(b"\x89PNG") for answer in pictures)
    assert len({answer.content for answer in pictures}) == 5
    assert "immutable" in pictures[0].headers["cache-control"]
    assert watched.client.get(f"/{film['plot']}").content.startswith(b"\x89PNG")
    gif = watched.client.get(f"/{film['gif']}")
    assert gif.content.startswith(b"GIF8")
    assert "attachment" in gif.headers["content-disposition"]


def test_moments_after_the_step_that_a_run_was_resumed_from_are_not_shown(watched: Watched) -> None:
    snapshot = watched.publish(steps=2)
    for step in (1, 2, 4):
        watched.studio.store.timeline("mine").keep(step, watched.trainer.networks("mine"))
    assert snapshot.steps == 2
    film = watched.client.get("/gradio_api/gan/run/mine/timeline").json()
    assert [step for step, _ in film["moments"]] == [1, 2]  # and the second is drawn anew
    assert "picture/" in film["moments"][1][1]


def test_a_slim_run_has_its_curves_over_its_own_steps(watched: Watched) -> None:
    watched.publish(steps=1)
    store, steps = watched.studio.store, 2100
    store.save("short", watched.trainer)
    saved = store.load("short")
    falling = torch.linspace(5, 1, steps)[:, None].repeat(1, len(COLUMNS))
    whole = Checkpoint(replace(saved.summary, steps=steps), saved.tensors | {"history": falling})
    store.save_slim("slim", slim(whole))
    expected, means = Past.of_checkpoint("whole", whole, store.timeline("x")), watched.studio.past("slim")
    assert means.curves.steps[-1] == pytest.approx(expected.curves.steps[-1], rel=0.01)
    near = np.interp(expected.curves.steps, means.curves.steps, means.curves.values["loss_d"])
    assert np.abs(near - expected.curves.values["loss_d"]).max() < 0.02


def test_a_download_is_named_without_anything_odd(watched: Watched) -> None:
    address = "/" + watched.pictures.put(b"\x89PNG")
    answer = watched.client.get(address, params={"download": 'a"b\r\nc/../d.png'})
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a_b__c_.._d.png"
    assert "content-disposition" not in watched.client.get(address).headers


def test_pictures_are_forgotten_oldest_first() -> None:
    store = PictureStore(most_bytes=10)
    keys = [store.put(bytes([number]) * 4).split("/")[-1].removesuffix(".png") for number in range(3)]
    assert [store.get(key) is not None for key in keys] == [False, True, True]


def test_times_read_like_a_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 3600, 3725)] == ["0:00", "1:00", "1:00:00", "1:02:05"]


# -- samples -------------------------------------------------------------------------------------------------


def test_a_sample_is_a_picture_with_its_words(watched: Watched) -> None:
    nothing = watched.client.get("/gradio_api/gan/sample?source=live").json()
    assert nothing["picture"] == ""
    watched.publish(steps=1)
    one, again, other = (
        watched.client.get(f"/gradio_api/gan/sample?source=live&seed={seed}&count=20").json()
        for seed in ("3.5", "3.5", "4")
    )
    assert one["picture"] == again["picture"] != other["picture"]
    assert one["caption"] == "mine · seed 3.5 · EMA (averaged) weights"
    assert (one["columns"], one["rows"]) == (8, 3)
    assert watched.client.get(f"/{one['picture']}").content.startswith(b"\x89PNG")
    saved = watched.client.get(f"/{one['download']}").headers["content-disposition"]
    assert "mine-seed-3.5.png" in saved


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("source=absent", "There is no run 'absent'."),
        ("source=..%2fmine", "cannot name a run"),
        ("seed=x", "is 'x'; it must be a number"),
        ("seed=nan", "nan"),
        ("seed=-1", "is -1.0; allowed is 0 to"),
        ("count=257", "is 257; allowed is 1 to 256"),
        ("count=2.5", "is 2.5; it must be a whole number"),
        ("truncation=9", "is 9.0; allowed is 0.3 to 1.5"),
        ("weights=best2", "allowed is best, ema, raw"),
    ],
)
def test_a_sample_that_cannot_be_is_refused_with_a_sentence(
    watched: Watched, query: str, sentence: str
) -> None:
    watched.publish(steps=1)
    answer = watched.client.get(f"/gradio_api/gan/sample?{query}")
    assert answer.status_code == 400
    assert sentence in answer.json()["problem"]


def test_samples_are_drawn_in_turn_and_nobody_has_more_than_a_few_waiting() -> None:
    desk, go, drawn = Desk(), threading.Event(), []
    first = desk.draw("ann", go.wait)
    wait_for(first.running)
    asked = [desk.draw("ann", partial(drawn.append, f"ann {number}")) for number in range(4)]
    with pytest.raises(RunError, match="4 at a time"):
        desk.draw("ann", go.wait)
    for name in ("bob", "cem"):
        asked += [desk.draw(name, partial(drawn.append, f"{name} {number}")) for number in range(2)]
    go.set()
    for future in asked:
        future.result(timeout=10)
    assert drawn == ["ann 0", "bob 0", "cem 0", "ann 1", "bob 1", "cem 1", "ann 2", "ann 3"]


def test_a_drawing_that_fails_is_its_own_visitors_affair() -> None:
    def fail() -> None:
        raise RunError("nothing-to-sample")

    desk = Desk()
    failed, drawn = desk.draw("ann", fail), desk.draw("bob", lambda: "bob's")
    with pytest.raises(RunError, match="no generator yet"):
        failed.result(timeout=10)
    assert drawn.result(timeout=10) == "bob's"


def test_the_film_of_a_run_is_put_together_once_for_all_who_look(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        watched.trainer.step()
        watched.studio.store.keep_moment("mine", watched.trainer)
    watched.studio.store.save("mine", watched.trainer)
    drawn = []
    monkeypatch.setattr(films, "draw", lambda networks: drawn.append(networks) or b"picture")
    films_of = films.Films(watched.studio, watched.pictures)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(films_of.of, ["mine"] * 16))
    assert seen[0]
    assert all(film is seen[0] for film in seen)
    assert len(drawn) == 1
    watched.trainer.step()
    watched.studio.store.save("mine", watched.trainer)
    assert films_of.of("mine") is not seen[0]


def test_a_shared_server_wants_to_know_who_asks_for_samples(tmp_path: Path) -> None:
    studio = Studio(ServerSettings(checkpoints=tmp_path / "runs", device="cpu", shared=True), threads=1)
    client = TestClient(
        Starlette(routes=routes(studio, Reception(studio), Live(studio), PictureStore(), Desk()))
    )
    try:
        for headers in ({}, {"X-Gan-Visitor": "made-up"}):
            refused = client.get("/gradio_api/gan/sample", headers=headers)
            assert refused.status_code == 400
            assert "does not know you" in refused.json()["problem"]
        known = {"X-Gan-Visitor": studio.access.visitors.new_token()}
        assert client.get("/gradio_api/gan/sample", headers=known).status_code == 200
    finally:
        studio.close()


# -- who asks ------------------------------------------------------------------------------------------------


@pytest.fixture
def reception(tmp_path: Path) -> Iterator[Reception]:
    settings = ServerSettings(
        checkpoints=tmp_path / "runs", device="cpu", shared=True, presenter_key="open sesame"
    )
    studio = Studio(settings, threads=1)
    yield Reception(studio)
    studio.close()


def test_a_stranger_gets_a_token_and_keeps_it(reception: Reception) -> None:
    first = reception.welcome("", None)
    assert reception.welcome(first["token"], None) == first
    assert reception.guest("", first["token"], "zh-CN").language == "zh"
    assert not first["may_train"]
    assert first["id"] not in first["token"]


def test_a_wrong_key_is_tried_five_times_a_minute_and_then_not_even_the_right_one(
    reception: Reception,
) -> None:
    token = reception.welcome("", None)["token"]
    for _ in range(5):
        with pytest.raises(RunError, match="not the presenter's key"):
            reception.present("wrong", token, None)
    with pytest.raises(RunError, match="too often: allowed is 5 per 1 minute"):
        reception.present("open sesame", token, None)
    other = reception.welcome("", None)["token"]
    assert reception.present("open sesame", other, None)["may_train"]


def test_a_curious_room_does_not_lock_its_presenter_out(reception: Reception) -> None:
    for _ in range(30):
        for _ in range(2):
            pupil = reception.welcome("", None)["token"]
            with pytest.raises(RunError, match="not the presenter's key"):
                reception.present("please", pupil, None)
    teacher = reception.welcome("", None)["token"]
    assert reception.present("open sesame", teacher, None)["may_train"]


def test_keys_cannot_be_guessed_under_ever_new_names(reception: Reception) -> None:
    def guess() -> None:
        reception.present("guess", reception.welcome("", None)["token"], None)

    for _ in range(100):
        with pytest.raises(RunError, match="not the presenter's key"):
            guess()
    with pytest.raises(RunError, match="too often: allowed is 100 per 1 minute"):
        guess()


def test_one_visitor_cannot_ask_without_end(reception: Reception) -> None:
    token = reception.welcome("", None)["token"]
    asked = 0

    def ask() -> None:
        nonlocal asked
        while asked < 100:
            reception.guest("", token, "en")
            asked += 1

    with pytest.raises(RunError, match="too often"):
        ask()
    assert 30 <= asked < 100
    other = reception.welcome("", None)["token"]
    reception.guest("", other, "en")


def test_a_room_behind_one_address_meets_no_limit(reception: Reception) -> None:
    for _ in range(60):
        token = reception.welcome("", None)["token"]
        for _ in range(10):
            reception.guest("", token, "en")
