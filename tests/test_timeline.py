"""The timeline: which steps are kept, what is written, what a GIF holds."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import recipe
from gan.data import Digits
from gan.runs import RunStore
from gan.sampling import SampleRequest, sample
from gan.timeline import Timeline, draw, is_moment
from gan.trainer import Trainer


def trainer(digits: Digits, **changes: object) -> Trainer:
    config = recipe("fast").with_changes(precision="fp32", batch_size=8, **changes)
    return Trainer(config, digits, torch.device("cpu"))


def pixels(picture: bytes | None) -> np.ndarray:
    assert picture is not None
    return np.asarray(Image.open(io.BytesIO(picture)).convert("L"), np.int16)


def test_a_minute_has_about_sixty_moments_and_a_day_not_many_more() -> None:
    minute = [step for step in range(5001) if is_moment(step)]
    assert 55 <= len(minute) <= 70
    assert minute[0] == 1
    gaps = np.diff(minute)
    assert (gaps >= 1).all()
    assert gaps[-1] > 100 * gaps[0]
    assert sum(is_moment(step) for step in range(1_000_000)) < 120


def test_a_picture_holds_the_digits_of_its_step(digits: Digits, tmp_path: Path) -> None:
    store, training = RunStore(tmp_path), trainer(digits)
    for _ in range(9):
        training.step()
        store.keep_moment("run", training)
    timeline = store.timeline("run")
    assert timeline.steps() == [1, 2, 4, 8, 9]
    now = pixels(timeline.picture(9))
    assert now.shape == (8 * 29 - 1, 8 * 29 - 1)
    expected = sample(training.networks("run"), SampleRequest(0, 64))
    assert np.abs(now[:28, :28] - expected[0]).max() <= 9  # 16 shades
    assert np.abs(now[-28:, -28:] - expected[63]).max() <= 9
    assert (now != pixels(timeline.picture(8))).any()
    assert timeline.picture(3) is None


def test_watching_its_past_changes_nothing_in_a_run(digits: Digits, tmp_path: Path) -> None:
    watched, alone = trainer(digits), trainer(digits)
    store = RunStore(tmp_path)
    for _ in range(9):
        watched.step()
        store.keep_moment("run", watched)
        alone.step()
    for name, tensor in alone.state().items():
        if name != "history":  # which holds seconds
            assert torch.equal(tensor, watched.state()[name]), name


def test_a_new_run_of_the_same_name_forgets_the_old_pictures(digits: Digits, tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for count in (4, 2):
        training = trainer(digits)
        for _ in range(count):
            training.step()
            store.keep_moment("run", training)
    assert store.timeline("run").steps() == [1, 2]


def test_the_gif_shows_every_moment_and_rests_on_the_last(digits: Digits, tmp_path: Path) -> None:
    timeline, training = Timeline(tmp_path / "timeline"), trainer(digits)
    assert timeline.gif(b"") is None
    for step in (1, 2, 4):
        training.step()
        timeline.keep(step, training.networks("run"))
    training.step()
    last = draw(training.networks("run"))
    film = Image.open(io.BytesIO(timeline.gif(last) or b""))
    assert film.n_frames == 4
    assert film.info["loop"] == 0
    durations = []
    for frame in range(4):
        film.seek(frame)
        durations.append(film.info["duration"])
        still = pixels(last if frame == 3 else timeline.picture((1, 2, 4)[frame]))
        shown = np.asarray(film.convert("L"), np.int16)[::2, ::2]
        assert np.abs(shown - still).max() <= 2
    assert durations[3] > 10 * durations[0]


def test_a_folder_that_cannot_be_written_stops_no_run(
    digits: Digits, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, training = RunStore(tmp_path), trainer(digits)
    (tmp_path / "run").write_text("a file where the folder should be")
    training.step()
    store.keep_moment("run", training)
    assert "not kept" in caplog.text


def test_pictures_go_with_their_run(digits: Digits, tmp_path: Path) -> None:
    store, training = RunStore(tmp_path), trainer(digits)
    training.step()
    store.keep_moment("run", training)
    store.save("run", training)
    store.rename("run", "other")
    assert store.timeline("other").steps() == [1]
    assert store.timeline("run").steps() == []
    store.delete("other")
    assert store.timeline("other").steps() == []
