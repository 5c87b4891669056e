"""What visitors may ask of the studio, while its thread trains."""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import wait_for

from gan.config import RunConfig, ServerSettings
from gan.data import Digits
from gan.errors import CheckpointError, GanError, RunError
from gan.sampling import SampleRequest, sample, scores
from gan.snapshot import Status
from gan.studio import LIVE, Studio
from gan.trainer import Trainer

CONFIG = RunConfig(latent_dim=4, batch_size=8, precision="fp32", ema=0.9, length=5000, unit="steps")


@pytest.fixture
def open_studio(tmp_path: Path, digits: Digits) -> Iterator[Callable[[], Studio]]:
    opened: list[Studio] = []

    def open_one() -> Studio:
        studio = Studio(ServerSettings(checkpoints=tmp_path / "runs", device="cpu"), threads=1)
        studio.digits = lambda *_, **__: digits  # type: ignore[method-assign]
        opened.append(studio)
        return studio

    yield open_one
    for studio in opened:
        assert studio.close()


@pytest.fixture
def studio(open_studio: Callable[[], Studio]) -> Studio:
    return open_studio()


def status(studio: Studio) -> Status | None:
    return studio.snapshot.status if studio.snapshot else None


def training(studio: Studio) -> None:
    wait_for(lambda: studio.snapshot and studio.snapshot.steps > 0)


def test_a_run_finishes_is_saved_and_can_go_on_for_longer(studio: Studio) -> None:
    run = studio.start(CONFIG.with_changes(length=20))
    wait_for(lambda: status(studio) is Status.FINISHED and not studio._worker.holds(run))
    assert studio.store.load(run).summary.steps == 20
    with pytest.raises(RunError, match="has reached its length"):
        studio.resume(run)
    studio.resume(run, more=10, unit="steps")
    wait_for(lambda: status(studio) is Status.FINISHED and not studio._worker.holds(run))
    assert studio.store.load(run).summary.steps == 30


def test_twenty_clicks_start_one_run(studio: Studio) -> None:
    refused: list[str] = []

    def click() -> None:
        try:
            studio.start(CONFIG, "mine")
        except GanError as error:
            refused.append(str(error))

    clicks = [threading.Thread(target=click) for _ in range(20)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    assert len(refused) == 19
    assert all("'mine'" in sentence for sentence in refused)


def test_pause_freezes_step_makes_one_and_resume_goes_on(studio: Studio) -> None:
    studio.start(CONFIG)
    training(studio)
    studio.pause()
    time.sleep(0.5)
    assert studio.snapshot
    paused = studio.snapshot.steps
    time.sleep(0.3)
    assert studio.snapshot.steps == paused
    studio.step()
    wait_for(lambda: studio.snapshot.steps == paused + 1)
    time.sleep(0.2)
    assert studio.snapshot.steps == paused + 1
    studio.resume()
    wait_for(lambda: studio.snapshot.steps > paused + 1)


def test_stop_saves_and_another_studio_resumes_there(open_studio: Callable[[], Studio]) -> None:
    first = open_studio()
    run = first.start(CONFIG)
    training(first)
    first.stop()
    wait_for(lambda: not first._worker.holds(run))
    saved = first.store.load(run).summary.steps
    assert saved > 0
    second = open_studio()
    second.resume(run)
    wait_for(lambda: second.snapshot and second.snapshot.steps > saved)


def test_commands_that_do_not_fit_are_refused_with_a_sentence(studio: Studio) -> None:
    for command in (studio.pause, studio.resume, studio.stop, studio.step, studio.save):
        with pytest.raises(RunError, match="No run is active"):
            command()
    run = studio.start(CONFIG)
    training(studio)
    for refused in (studio.resume, studio.step, lambda: studio.delete(run), lambda: studio.rename(run, "x")):
        with pytest.raises(RunError, match=run):
            refused()
    assert status(studio) is Status.TRAINING


def test_learning_rates_change_while_it_trains(studio: Studio) -> None:
    run = studio.start(CONFIG)
    training(studio)
    studio.set_learning_rates(1e-5, 2e-5)
    wait_for(lambda: studio.snapshot and studio.snapshot.config.lr_g == 1e-5)
    studio.stop()
    wait_for(lambda: not studio._worker.holds(run))
    assert studio.store.load(run).summary.config.lr_d == 2e-5


def test_divergence_ends_the_run_and_keeps_the_last_good_checkpoint(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = studio.start(CONFIG)
    training(studio)
    studio.save()
    wait_for(lambda: studio.store.exists(run))
    update = Trainer._update_generator
    monkeypatch.setattr(Trainer, "_update_generator", lambda self, draws: update(self, draws) * float("nan"))
    wait_for(lambda: status(studio) is Status.FAILED)
    assert studio.snapshot
    assert "at step" in str(studio.snapshot.error)
    assert studio.store.load(run).summary.steps > 0


def test_an_unexpected_error_ends_one_run_and_the_next_one_starts(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Trainer) -> None:
        raise RuntimeError("a cable fell out")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", broken)
        studio.start(CONFIG)
        wait_for(lambda: status(studio) is Status.FAILED)
    assert studio.snapshot
    assert "a cable fell out" in str(studio.snapshot.error)
    wait_for(lambda: not studio._worker._held)
    studio.start(CONFIG, "next")
    training(studio)


def test_a_failing_save_is_shown_and_training_goes_on(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, *_: object) -> None:
        raise CheckpointError("save-failed", run=name, reason="No space left on device")

    studio.start(CONFIG)
    training(studio)
    with monkeypatch.context() as patch:
        patch.setattr(studio.store, "save", full)
        studio.save()
        wait_for(lambda: studio.snapshot and "No space left" in str(studio.snapshot.error))
        assert status(studio) is Status.TRAINING
    studio.save()
    wait_for(lambda: studio.snapshot and studio.snapshot.error is None)


def test_commands_answer_at_once_while_it_trains(studio: Studio) -> None:
    studio.start(CONFIG)
    training(studio)
    times = []
    for _ in range(10):
        for command in (studio.pause, studio.resume):
            started = time.perf_counter()
            command()
            times.append(time.perf_counter() - started)
    assert statistics.median(times) < 0.1


def test_closing_saves_what_trains(open_studio: Callable[[], Studio]) -> None:
    studio = open_studio()
    run = studio.start(CONFIG)
    training(studio)
    assert studio.close()
    assert studio.store.load(run).summary.steps > 0


def test_sampling_in_another_thread_changes_no_bit_of_the_training(studio: Studio, digits: Digits) -> None:
    config = CONFIG.with_changes(length=150)
    alone = Trainer(config, digits, torch.device("cpu"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while alone.progress < 1:
            alone.step()
    finally:
        torch.set_num_threads(threads)

    drawn = 0
    run = studio.start(config)
    while status(studio) is not Status.FINISHED:
        assert status(studio) is not Status.FAILED
        if studio.snapshot and studio.snapshot.networks:
            networks = studio.networks(LIVE)
            scores(networks, sample(networks, SampleRequest(seed=drawn, count=16)))
            torch.randn(3)  # disturbs whoever relies on the global generator
            drawn += 1
    assert drawn > 3
    wait_for(lambda: not studio._worker.holds(run))
    saved = studio.store.load(run).tensors
    for name, tensor in alone.state().items():
        if name == "history":  # its last column is measured time
            assert torch.equal(saved[name][:, :4], tensor[:, :4])
        elif name != "looks":  # only the studio lets the judge look
            assert torch.equal(saved[name], tensor), name


def test_a_snapshot_stays_as_it_was_while_training_goes_on(studio: Studio) -> None:
    studio.start(CONFIG)
    training(studio)
    snapshot = studio.snapshot
    assert snapshot
    assert snapshot.networks
    assert snapshot.networks.ema
    weights = {name: tensor.clone() for name, tensor in snapshot.networks.ema.state_dict().items()}
    rows = snapshot.history.rows.copy()
    wait_for(lambda: studio.snapshot.steps > snapshot.steps + 50)
    assert all(
        torch.equal(tensor, weights[name]) for name, tensor in snapshot.networks.ema.state_dict().items()
    )
    assert np.array_equal(snapshot.history.rows, rows)
    assert not snapshot.networks.ema.training
    with pytest.raises(FrozenInstanceError):
        snapshot.steps = 0  # type: ignore[misc]


def test_stop_before_the_first_step_leaves_no_run_behind(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading = threading.Event()
    digits = studio.digits
    monkeypatch.setattr(studio, "digits", lambda *wanted: loading.wait(10) and digits(*wanted))
    run = studio.start(CONFIG)
    studio.stop()
    loading.set()
    wait_for(lambda: not studio._worker.holds(run))
    assert studio.runs() == []
    assert studio.start(CONFIG, run) == run


def test_a_run_that_was_just_stopped_is_kept_until_its_last_save_is_written(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = studio.start(CONFIG)
    training(studio)
    studio.save()
    wait_for(lambda: studio.store.exists(run))
    writing, save = threading.Event(), studio.store.save
    monkeypatch.setattr(studio.store, "save", lambda *what: writing.wait(10) and save(*what))
    studio.stop()
    threading.Timer(0.5, writing.set).start()
    assert studio.rename(run, "other") == "other"  # waits for the save instead of complaining about it
    assert studio.store.load("other").summary.steps > 0
    studio.delete("other")
    assert studio.runs() == []


def test_resume_right_after_stop_goes_on_from_the_last_step(studio: Studio) -> None:
    run = studio.start(CONFIG)
    training(studio)
    studio.stop()
    studio.resume(run)  # the last save may still be under way
    wait_for(lambda: status(studio) is Status.TRAINING and studio.snapshot.networks)
    assert studio.snapshot
    assert studio.snapshot.steps >= studio.store.load(run).summary.steps > 0


def test_a_slim_run_samples_is_not_resumed_and_lends_its_weights(studio: Studio) -> None:
    run = studio.start(CONFIG.with_changes(length=20))
    wait_for(lambda: status(studio) is Status.FINISHED and not studio._worker.holds(run))
    studio.store.save_slim("slim", studio.store.load(run))
    assert studio.networks("slim").run == "slim"
    with pytest.raises(CheckpointError, match="Start a new run from its weights"):
        studio.resume("slim")
    with pytest.raises(CheckpointError, match="no step-by-step history"):
        studio.past("slim").history  # noqa: B018
    grown = studio.start_from_weights("slim", 30, "steps", "grown")
    wait_for(lambda: status(studio) is Status.FINISHED and not studio._worker.holds(grown))
    assert studio.store.load("grown").summary.steps == 30


def test_a_broken_upload_changes_nothing_and_a_good_one_becomes_a_run(studio: Studio, tmp_path: Path) -> None:
    run = studio.start(CONFIG.with_changes(length=20))
    wait_for(lambda: status(studio) is Status.FINISHED and not studio._worker.holds(run))
    good = studio.store.path(run)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(good.read_bytes()[:-1000])
    version = studio.runs_version
    with pytest.raises(CheckpointError):
        studio.take_in(broken)
    assert [listed.name for listed in studio.runs()] == [run]
    assert studio.runs_version == version
    assert studio.take_in(good) == "upload-1"
    assert studio.store.load("upload-1").summary == studio.store.load(run).summary
    with pytest.raises(RunError, match="already"):
        studio.take_in(good, run)


def test_a_run_cannot_be_renamed_onto_the_one_in_training(studio: Studio) -> None:
    good = studio.start(CONFIG.with_changes(length=5), "good")
    wait_for(lambda: status(studio) is Status.FINISHED and not studio._worker.holds(good))
    studio.start(CONFIG, "fresh")  # not on the disk yet
    with pytest.raises(RunError, match="'fresh' already"):
        studio.rename("good", "fresh")
    assert studio.store.load("good").summary.steps == 5


def test_a_run_whose_last_save_fails_stays_and_can_be_saved_later(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, *_: object) -> None:
        raise CheckpointError("save-failed", run=name, reason="No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(studio.store, "save", full)
        run = studio.start(CONFIG.with_changes(length=20))
        wait_for(lambda: status(studio) is Status.PAUSED)
        wait_for(lambda: studio.snapshot and "No space left" in str(studio.snapshot.error))
        assert studio._worker.holds(run)
        studio.stop()
        wait_for(lambda: status(studio) is Status.PAUSED)
    studio.stop()
    wait_for(lambda: not studio._worker.holds(run))
    assert status(studio) is Status.STOPPED
    assert studio.store.load(run).summary.steps == 20


def test_the_last_save_of_one_run_does_not_hide_the_next(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = studio.start(CONFIG, "old")
    training(studio)
    saving, save = threading.Event(), studio.store.save
    monkeypatch.setattr(studio.store, "save", lambda *what: saving.wait(10) and save(*what))
    studio.stop()
    studio.start(CONFIG, "new")
    assert next(listed.name for listed in studio.runs()) == "new"
    saving.set()
    seen = set()
    while studio._worker.holds(old) or not studio.snapshot.steps:
        seen.add(studio.snapshot.run)
        time.sleep(0.005)
    assert seen == {"new"}


def test_another_process_cannot_take_a_run_that_is_in_use(studio: Studio) -> None:
    run = studio.start(CONFIG)
    training(studio)
    studio.save()
    wait_for(lambda: studio.store.exists(run))
    command = [sys.executable, "-m", "gan", "train", "--run", run, "--resume", "--steps", "6000"]
    environment = os.environ | {"GAN_CHECKPOINTS": str(studio.store.root), "GAN_DEVICE": "cpu"}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "is active, here or in another program" in refused.stderr
    assert status(studio) is Status.TRAINING


def test_a_deleted_run_is_forgotten_and_a_renamed_one_shown_by_its_new_name(studio: Studio) -> None:
    for name, length in (("long", 9), ("short", 3)):
        run = studio.start(CONFIG.with_changes(length=length), name)
        wait_for(lambda run=run: status(studio) is Status.FINISHED and not studio._worker.holds(run))
    studio.rename("short", "brief")
    assert studio.snapshot
    assert (studio.snapshot.run, studio.networks(LIVE).run) == ("brief", "brief")
    studio.delete("brief")
    assert studio.snapshot.run == "long"
    studio.rename("long", "brief")
    assert len(studio.past("brief").history) == 9
