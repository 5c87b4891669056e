"""A room of visitors in one Studio: whose a run is, fair turns, the line, and the presenter."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from patience import wait_for

from gan import housekeeping, worker
from gan.config import RunConfig, ServerSettings
from gan.data import Digits
from gan.errors import CheckpointError, DataError, GanError, RunError
from gan.runs import RunStore
from gan.snapshot import Snapshot, Status
from gan.studio import LIVE, Studio
from gan.trainer import StepMetrics, Trainer
from gan.visitors import LOCAL, SEEN_NAME, Visitor, Visitors
from gan.waiting import seconds_until_seat

CONFIG = RunConfig(latent_dim=4, batch_size=8, precision="fp32", ema=0.9, length=100_000, unit="steps")
ANN, BOB, TEACHER = Visitor("ann"), Visitor("bob"), Visitor("teacher", presenter=True)


@pytest.fixture
def open_room(
    tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Studio]]:
    opened: list[Studio] = []
    monkeypatch.setattr(worker, "TURN_SECONDS", 0.1)

    def open_one(**settings: object) -> Studio:
        base = ServerSettings(checkpoints=tmp_path / "runs", device="cpu", shared=True)
        studio = Studio(replace(base, **settings), threads=1)
        studio.digits = lambda *_, **__: digits  # type: ignore[method-assign]
        opened.append(studio)
        return studio

    yield open_one
    for studio in opened:
        assert studio.close()


@pytest.fixture
def room(open_room: Callable[..., Studio]) -> Studio:
    return open_room()


def steps(studio: Studio, run: str) -> int:
    found = studio.watched(run)
    assert found
    assert found.run == run
    return found.steps


# -- whose a run is ------------------------------------------------------------------------------------------


def test_nobody_can_touch_anothers_run_in_any_way(room: Studio) -> None:
    run = room.start(CONFIG, "anns", ANN)
    wait_for(lambda: steps(room, run) > 0)
    room.save(run, ANN)
    wait_for(lambda: room.store.exists(run))
    for refused in (
        lambda: room.pause(run, BOB),
        lambda: room.resume(run, visitor=BOB),
        lambda: room.stop(run, BOB),
        lambda: room.step(run, BOB),
        lambda: room.save(run, BOB),
        lambda: room.set_learning_rates(1e-5, 1e-5, run, BOB),
        lambda: room.delete(run, BOB),
        lambda: room.rename(run, "bobs", BOB),
    ):
        with pytest.raises(RunError, match="somebody else's"):
            refused()
    with pytest.raises(RunError, match="already"):
        room.start(CONFIG, run, BOB)
    with pytest.raises(RunError, match="No run is active"):
        room.stop(visitor=BOB)
    assert room.networks(run).run == run  # but everybody may look
    assert steps(room, run) > 0
    room.stop(run, ANN)
    wait_for(lambda: not room._worker.holds(run))
    for refused in (lambda: room.delete(run, BOB), lambda: room.resume(run, visitor=BOB)):
        with pytest.raises(RunError, match="somebody else's"):
            refused()
    room.delete(run, ANN)


def test_a_run_is_its_starters_also_after_a_restart_and_under_a_new_name(
    open_room: Callable[..., Studio],
) -> None:
    first = open_room()
    run = first.start(CONFIG, "anns", ANN)
    wait_for(lambda: steps(first, run) > 0)
    first.close()
    second = open_room()
    assert [listed.owner for listed in second.runs()] == ["ann"]
    with pytest.raises(RunError, match="somebody else's"):
        second.rename(run, "bobs", BOB)
    assert second.rename(run, "mine", ANN) == "mine"
    with pytest.raises(RunError, match="somebody else's"):
        second.resume("mine", visitor=BOB)
    assert second.resume("mine", visitor=ANN) == "mine"


def test_an_upload_belongs_to_who_sent_it(room: Studio) -> None:
    run = room.start(CONFIG.with_changes(length=3), "anns", ANN)
    wait_for(lambda: not room._worker.holds(run))
    uploaded = room.take_in(room.store.path(run), visitor=BOB)
    assert room.store.owner(uploaded) == "bob"
    with pytest.raises(RunError, match="somebody else's"):
        room.delete(uploaded, ANN)


@pytest.mark.parametrize("way", ["upload", "rename"])
def test_a_name_that_somebody_has_left_gives_them_no_right_to_who_has_it_now(room: Studio, way: str) -> None:
    run = room.start(CONFIG.with_changes(length=3), "bobs", BOB)
    wait_for(lambda: not room._worker.holds(run))
    room._worker.forget(run)  # as after a restart, or many other runs
    room.start(CONFIG, "upload-1", ANN)
    room.stop("upload-1", ANN)
    wait_for(lambda: not room._worker.holds("upload-1"))
    if room.store.exists("upload-1"):  # it made a step before it was stopped
        shutil.rmtree(room.store.path("upload-1").parent)
    assert room._worker.snapshots["upload-1"].owner == "ann"
    if way == "upload":
        assert room.take_in(room.store.path(run), visitor=BOB) == "upload-1"
    else:
        room.rename(run, "upload-1", BOB)
    for refused in (
        lambda: room.delete("upload-1", ANN),
        lambda: room.resume("upload-1", 10, "steps", ANN),
        lambda: room.rename("upload-1", "anns", ANN),
    ):
        with pytest.raises(RunError, match="somebody else's"):
            refused()
    assert next(listed for listed in room.runs() if listed.name == "upload-1").owner == "bob"
    room.delete("upload-1", BOB)


def test_a_run_of_nobody_is_only_the_presenters_to_change(room: Studio) -> None:
    run = room.start(CONFIG.with_changes(length=3), "old")
    wait_for(lambda: not room._worker.holds(run))
    (room.store.path(run).parent / "owner").unlink()
    room._worker.forget(run)
    with pytest.raises(RunError, match="somebody else's"):
        room.delete(run, ANN)
    room.delete(run, TEACHER)


def test_only_the_presenter_trains_where_there_is_one(open_room: Callable[..., Studio]) -> None:
    room = open_room(presenter_key="open sesame")
    run = room.start(CONFIG, "lesson", TEACHER)
    wait_for(lambda: steps(room, run) > 0)
    for refused in (
        lambda: room.start(CONFIG, "mine", ANN),
        lambda: room.start_from_weights("best", 1, "seconds", "mine", ANN),
        lambda: room.resume(run, visitor=ANN),
        lambda: room.take_in(Path("x"), visitor=ANN),
        lambda: room.pause(run, ANN),
    ):
        with pytest.raises(GanError, match=r"Only the presenter|somebody else's"):
            refused()
    assert room.networks(LIVE, visitor=ANN).run == run


def test_who_has_a_run_stays_with_it_and_who_has_none_follows_the_others(room: Studio) -> None:
    def sees(visitor: Visitor, last: str) -> str:
        return room.watched("", visitor, last).run  # type: ignore[union-attr]

    room.start(CONFIG.with_changes(length=3), "anns", ANN)
    wait_for(lambda: not room._worker.holds("anns"))
    assert sees(BOB, "") == "anns"
    room.start(CONFIG, "teachers", TEACHER)
    wait_for(lambda: steps(room, "teachers") > 0)
    assert sees(ANN, "anns") == "anns"
    assert sees(BOB, "anns") == "teachers"
    assert room.watched("anns", BOB, "teachers").run == "anns"  # type: ignore[union-attr] # he has chosen it
    room.start(CONFIG, "anns-next", ANN)
    assert sees(ANN, "anns") == "anns-next"


# -- turns ---------------------------------------------------------------------------------------------------


def test_runs_take_turns_and_all_of_them_move(room: Studio) -> None:
    runs = [room.start(CONFIG, f"run-{number}", Visitor(f"v{number}")) for number in range(4)]
    wait_for(lambda: all(steps(room, run) > 20 for run in runs))
    before = {run: steps(room, run) for run in runs}
    time.sleep(4)
    gained = [steps(room, run) - before[run] for run in runs]
    assert min(gained) > 0.4 * max(gained)


def test_the_list_of_runs_changes_again_when_a_run_can_be_sampled(room: Studio) -> None:
    for name, visitor in (("a", ANN), ("b", BOB)):
        room.start(CONFIG, name, visitor)
        before = room.runs_version
        wait_for(lambda before=before: room.runs_version > before)
        assert room.watched(name).networks  # type: ignore[union-attr]


def test_a_paused_run_leaves_its_time_to_the_others_and_steps_at_once(room: Studio) -> None:
    runs = [room.start(CONFIG, name, visitor) for name, visitor in (("a", ANN), ("b", BOB))]
    wait_for(lambda: all(steps(room, run) > 5 for run in runs))
    room.pause("a", ANN)
    time.sleep(0.5)
    paused, others = steps(room, "a"), steps(room, "b")
    room.step("a", ANN)
    wait_for(lambda: steps(room, "a") == paused + 1, 3)
    wait_for(lambda: steps(room, "b") > others)
    assert steps(room, "a") == paused + 1


def test_many_single_steps_do_not_keep_the_others_from_training(room: Studio) -> None:
    for name, visitor in (("a", ANN), ("b", BOB)):
        room.start(CONFIG, name, visitor)
    wait_for(lambda: steps(room, "a") > 5 and steps(room, "b") > 5)
    room.pause("a", ANN)
    ending = threading.Event()

    def click() -> None:
        while not ending.wait(0.001):
            room.step("a", ANN)

    clicking = threading.Thread(target=click)
    clicking.start()
    before = steps(room, "b")
    time.sleep(2)
    ending.set()
    clicking.join()
    assert steps(room, "b") > before + 20


def test_many_saves_win_no_time_for_training(room: Studio) -> None:
    for name, visitor in (("a", ANN), ("b", BOB), ("c", TEACHER)):
        room.start(CONFIG, name, visitor)
    wait_for(lambda: all(steps(room, run) > 5 for run in "abc"))
    ending = threading.Event()

    def click() -> None:
        while not ending.wait(0.02):
            room.set_learning_rates(1e-4, 1e-4, "a", ANN)

    clicking = threading.Thread(target=click)
    clicking.start()
    before = {run: steps(room, run) for run in "abc"}
    time.sleep(4)
    ending.set()
    clicking.join()
    gained = {run: steps(room, run) - before[run] for run in "abc"}
    assert gained["a"] < 1.5 * min(gained["b"], gained["c"])
    assert gained["a"] > 0.3 * min(gained["b"], gained["c"])


def test_a_run_with_long_steps_gets_no_more_time_than_the_others(
    room: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def slow_for_batches_of_nine(trainer: Trainer) -> StepMetrics:
        if trainer.config.batch_size == 9:
            time.sleep(0.3)  # three turns
        return step(trainer)

    monkeypatch.setattr(Trainer, "step", slow_for_batches_of_nine)
    room.start(CONFIG.with_changes(batch_size=9), "slow", ANN)
    for name, visitor in (("b", BOB), ("c", TEACHER)):
        room.start(CONFIG, name, visitor)
    wait_for(lambda: all(steps(room, run) > 2 for run in ("slow", "b", "c")))
    held = {one.orders.run: one for one in room._worker._held}
    before = {run: one.used for run, one in held.items()}
    time.sleep(5)
    used = {run: one.used - before[run] for run, one in held.items()}
    assert used["slow"] < 0.5 * sum(used.values())


def test_a_run_that_fails_leaves_the_others_running(
    room: Studio, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.start(CONFIG, "good", ANN)

    def missing(dataset: str, *_: object, **__: object) -> Digits:
        if dataset == "fashion-mnist":
            raise DataError("data-missing", dataset="Fashion-MNIST", files="x", folder="y")
        return digits

    monkeypatch.setattr(room, "digits", missing)
    room.start(CONFIG.with_changes(dataset="fashion-mnist"), "bad", BOB)
    wait_for(lambda: room.watched("bad").status is Status.FAILED)  # type: ignore[union-attr]
    before = steps(room, "good")
    wait_for(lambda: steps(room, "good") > before)


# -- the line ------------------------------------------------------------------------------------------------


def test_who_finds_no_seat_waits_in_line_and_moves_up(open_room: Callable[..., Studio]) -> None:
    room = open_room(active_runs=1, waiting_runs=1)
    room.start(CONFIG, "first", ANN)
    room.start(CONFIG, "second", BOB)
    assert room.watched("second").status is Status.WAITING  # type: ignore[union-attr]
    with pytest.raises(RunError, match="2 runs train or wait already"):
        room.start(CONFIG, "third", TEACHER)
    with pytest.raises(RunError, match="is waiting"):
        room.pause("second", BOB)
    wait_for(lambda: steps(room, "first") > 3)
    assert steps(room, "second") == 0
    room.stop("first", ANN)
    wait_for(lambda: steps(room, "second") > 0)


def test_who_leaves_the_line_leaves_nothing_behind(open_room: Callable[..., Studio]) -> None:
    room = open_room(active_runs=1)
    room.start(CONFIG, "first", ANN)
    room.start(CONFIG, "second", BOB)
    room.stop("second", BOB)
    wait_for(lambda: not room._worker.holds("second"))
    assert not room.store.exists("second")
    assert room.watched("first").status.active  # type: ignore[union-attr]


def test_a_visitor_has_as_many_runs_as_the_settings_say(open_room: Callable[..., Studio]) -> None:
    room = open_room(runs_per_visitor=2)
    room.start(CONFIG, "a", ANN)
    room.start(CONFIG, "b", ANN)
    with pytest.raises(RunError, match="'b' is training, and you can have 2"):
        room.start(CONFIG, "c", ANN)
    assert room.start(CONFIG, "d", BOB) == "d"


def test_a_long_pause_makes_way_for_one_who_waits(open_room: Callable[..., Studio]) -> None:
    room = open_room(active_runs=1)
    room._worker.limits = replace(room._worker.limits, pause_minutes=0.01)
    room.start(CONFIG, "first", ANN)
    wait_for(lambda: steps(room, "first") > 0)
    room.pause("first", ANN)
    time.sleep(1)
    assert room.watched("first").status is Status.PAUSED  # type: ignore[union-attr]
    room.start(CONFIG, "second", BOB)
    wait_for(lambda: steps(room, "second") > 0)
    ended = room.watched("first")
    assert ended
    assert ended.status is Status.STOPPED
    assert "was paused for 0.01 minutes" in str(ended.error)
    assert room.store.load("first").summary.steps > 0


def test_a_long_pause_makes_way_also_while_another_run_trains(open_room: Callable[..., Studio]) -> None:
    room = open_room(active_runs=2)
    room._worker.limits = replace(room._worker.limits, pause_minutes=0.01)
    room.start(CONFIG, "pausing", ANN)
    room.start(CONFIG, "training", TEACHER)
    wait_for(lambda: steps(room, "pausing") > 0 and steps(room, "training") > 0)
    room.pause("pausing", ANN)
    room.start(CONFIG, "waiting", BOB)
    wait_for(lambda: steps(room, "waiting") > 0, 10)
    assert room.watched("training").status is Status.TRAINING  # type: ignore[union-attr]


def test_a_run_that_two_resume_at_once_is_held_once(open_room: Callable[..., Studio]) -> None:
    room = open_room(runs_per_visitor=0)
    run = room.start(CONFIG, "anns", ANN)
    wait_for(lambda: steps(room, run) > 0)
    room.stop(run, ANN)
    answers = []

    def resume(visitor: Visitor) -> None:
        try:
            answers.append(room.resume(run, visitor=visitor))
        except RunError as error:
            answers.append(str(error))

    clicks = [threading.Thread(target=resume, args=(who,)) for who in (ANN, TEACHER, ANN, TEACHER)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert answers.count(run) == 1
    assert all("only a paused run" in answer for answer in answers if answer != run)
    assert [held.orders.run for held in room._worker._held] == [run]
    before = steps(room, run)
    wait_for(lambda: steps(room, run) > before)


def test_a_run_whose_last_save_fails_can_go_on(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    run = room.start(CONFIG, "anns", ANN)
    wait_for(lambda: steps(room, run) > 0)

    def full(name: str, *_: object) -> None:
        raise CheckpointError("save-failed", run=name, reason="No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(room.store, "save", full)
        room.stop(run, ANN)
        wait_for(lambda: room.watched(run).status is Status.PAUSED)  # type: ignore[union-attr]
        room.resume(run, visitor=ANN)
        before = steps(room, run)
        wait_for(lambda: steps(room, run) > before)
        assert "No space left" in str(room.watched(run).error)  # type: ignore[union-attr]
    assert len(room._worker._held) == 1


def test_data_that_cannot_be_loaded_is_nothing_to_a_later_run_of_that_name(
    room: Studio, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    gave_up, failed = threading.Event(), threading.Event()

    def slow(dataset: str, *_: object, **__: object) -> Digits:
        if dataset != "fashion-mnist":
            return digits
        gave_up.wait(30)
        failed.set()
        raise DataError("data-missing", dataset="Fashion-MNIST", files="x", folder="y")

    monkeypatch.setattr(room, "digits", slow)
    room.start(CONFIG.with_changes(dataset="fashion-mnist"), "mine", ANN)
    room.stop("mine", ANN)
    wait_for(lambda: not room._worker.holds("mine"))
    room.start(CONFIG, "mine", ANN)
    wait_for(lambda: steps(room, "mine") > 0)
    gave_up.set()
    failed.wait(10)
    time.sleep(0.3)
    now = room.watched("mine")
    assert now
    assert (now.status, now.error) == (Status.TRAINING, None)


def test_a_run_trains_for_as_long_as_the_settings_allow(open_room: Callable[..., Studio]) -> None:
    room = open_room(minutes_per_run=0.01)
    room.start(CONFIG, "long", ANN)
    wait_for(lambda: room.watched("long").status is Status.STOPPED)  # type: ignore[union-attr]
    wait_for(lambda: not room._worker.holds("long"))
    ended = room.watched("long")
    assert ended
    assert "the limit here" in str(ended.error)
    assert 0.6 <= room.store.load("long").summary.seconds < 1.5


def test_the_wait_is_estimated_from_what_the_others_have_left() -> None:
    def training(left: float) -> Snapshot:
        return Snapshot(1, f"t{left}", Status.TRAINING, CONFIG, seconds_left=left)

    def waiting(length: float) -> Snapshot:
        return Snapshot(1, f"w{length}", Status.WAITING, CONFIG.with_changes(length=length, unit="seconds"))

    assert seconds_until_seat([training(10)], 1) == 10
    assert seconds_until_seat([training(10), training(30)], 1) == 20  # two share until the shorter one ends
    room = [training(10), training(30), waiting(5), waiting(5)]
    assert seconds_until_seat(room, 2) == 30  # then the first in line needs its 5 s beside another: 10 s more
    assert seconds_until_seat([waiting(5)], 1) is None


def test_the_estimate_knows_the_servers_limit_and_what_a_resumed_run_has_done() -> None:
    trains = Snapshot(1, "t", Status.TRAINING, CONFIG, seconds_left=10)
    week = CONFIG.with_changes(length=604_800, unit="seconds")
    nearly = Snapshot(1, "n", Status.WAITING, week, seconds=604_797)
    assert seconds_until_seat([trains, nearly, replace(nearly, run="m")], 2) == 13
    whole = Snapshot(1, "w", Status.WAITING, week)
    assert seconds_until_seat([trains, whole, replace(whole, run="v")], 2, most_seconds=900) == 910


def test_what_is_left_is_no_longer_than_the_server_allows(open_room: Callable[..., Studio]) -> None:
    room = open_room(minutes_per_run=1)
    room.start(CONFIG.with_changes(length=604_800, unit="seconds"), "week", ANN)
    wait_for(lambda: steps(room, "week") > 3)
    left = room.watched("week").seconds_left  # type: ignore[union-attr]
    assert left is not None
    assert 50 < left <= 60


# -- visitors ------------------------------------------------------------------------------------------------


def test_a_token_is_known_after_a_restart_and_no_other_is(tmp_path: Path) -> None:
    tmp_path.joinpath("a").mkdir()
    first = Visitors(tmp_path / "a", presenter_key="key")
    token = first.new_token()
    again = Visitors(tmp_path / "a", presenter_key="key")
    assert again.visitor(token) == first.visitor(token)
    assert token not in first.visitor(token).id
    assert first.visitor(token).id != first.visitor(first.new_token()).id
    assert (tmp_path / "a" / ".secret").stat().st_mode & 0o077 == 0
    stranger = Visitors(tmp_path, secret="another")
    random, _, signature = token.partition(".")
    for forged in (
        "",
        "x",
        token[:-1],
        f"{random[::-1]}.{signature}",
        stranger.new_token(),
        "a" * 10_000,
        "é",
    ):
        with pytest.raises(RunError, match="does not know you"):
            first.visitor(forged)


def test_the_presenters_key_makes_a_presenter_until_it_is_changed(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path, "secret", "open sesame")
    token = visitors.new_token()
    for wrong in ("", "open", "Open sesame"):
        with pytest.raises(RunError, match="not the presenter's key"):
            visitors.presenter_token(token, wrong)
    presenter = visitors.presenter_token(token, "open sesame")
    assert visitors.visitor(presenter) == Visitor(visitors.visitor(token).id, presenter=True)
    assert not visitors.visitor(token).presenter
    for other_key in ("changed", ""):
        with pytest.raises(RunError, match="does not know you"):
            Visitors(tmp_path, "secret", other_key).visitor(presenter)
    with pytest.raises(RunError, match="not the presenter's key"):
        Visitors(tmp_path, "secret").presenter_token(token, "")


def test_alone_everybody_is_the_same_visitor(open_room: Callable[..., Studio]) -> None:
    assert open_room(shared=False).access.visitor("anything") is LOCAL


# -- room on the disk ----------------------------------------------------------------------------------------


def finished(room: Studio, name: str, visitor: Visitor, days_ago: float) -> None:
    """A finished run, and its owner's last visit `days_ago`."""
    room.start(CONFIG.with_changes(length=3), name, visitor)
    wait_for(lambda: not room._worker.holds(name))
    then = time.time() - days_ago * housekeeping.DAY
    os.utime(room.store.path(name), (then, then))
    folder = room.settings.checkpoints / SEEN_NAME
    folder.mkdir(exist_ok=True)
    (folder / visitor.id).touch()
    os.utime(folder / visitor.id, (then, then))


def test_at_the_disk_limit_the_oldest_run_of_an_absent_owner_goes_and_no_other(
    open_room: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = open_room(disk_megabytes=10)
    monkeypatch.setattr(RunStore, "bytes_used", megabytes_for_each_run)
    room.start(CONFIG, "training", Visitor("zoe"))
    wait_for(lambda: steps(room, "training") > 0)
    room.save("training", Visitor("zoe"))
    wait_for(lambda: room.store.exists("training"))
    finished(room, "oldest", Visitor("cem"), 3)
    finished(room, "older", Visitor("dee"), 2)
    finished(room, "here", ANN, 0.5)
    finished(room, "old", Visitor("eve"), 1.5)
    room.start(CONFIG, "next", TEACHER)
    assert room.store.exists("oldest")  # five of two megabytes each are just what there is room for
    room.stop("next", TEACHER)
    wait_for(lambda: not room._worker.holds("next"))
    if not room.store.exists("next"):  # it was stopped before its first step
        finished(room, "next", TEACHER, 0)
    room.start(CONFIG, "another", TEACHER)
    assert {run.name for run in room.store.list()} == {"training", "older", "here", "old", "next"}
    assert not any(run.name == "oldest" for run in room.runs())


def megabytes_for_each_run(store: RunStore, owner: str = "") -> int:
    return 2 * 2**20 * sum(owner in ("", run.owner) for run in store.list())


def test_where_nothing_may_go_nothing_new_begins(
    open_room: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = open_room(disk_megabytes=1)
    monkeypatch.setattr(RunStore, "bytes_used", megabytes_for_each_run)
    finished(room, "bobs", BOB, 0.5)
    for refused in (
        lambda: room.start(CONFIG, "another", TEACHER),
        lambda: room.resume("bobs", 10, "steps", TEACHER),
        lambda: room.take_in(room.store.path("bobs"), visitor=TEACHER),
    ):
        with pytest.raises(RunError, match="take 2 MB, and 1 MB is the limit"):
            refused()
    assert [run.name for run in room.store.list()] == ["bobs"]
    assert not list((room.store.root / ".arriving").iterdir())


def test_one_visitor_cannot_fill_the_disk(
    open_room: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = open_room(disk_megabytes=20)
    monkeypatch.setattr(RunStore, "bytes_used", megabytes_for_each_run)
    for number in range(3):
        finished(room, f"anns-{number}", ANN, 0)
    with pytest.raises(RunError, match="Your runs take 6 MB, and one visitor may have 5 MB"):
        room.take_in(room.store.path("anns-0"), visitor=ANN)
    assert room.take_in(room.store.path("anns-0"), visitor=BOB) == "upload-1"


def test_what_a_run_left_that_ended_before_its_first_save_is_no_obstacle(
    open_room: Callable[..., Studio],
) -> None:
    room = open_room(disk_megabytes=1)
    for name in ("left", "old-left"):
        (room.store.root / name / "timeline").mkdir(parents=True)
        (room.store.root / name / "timeline" / "1.png").write_bytes(bytes(2**20))
    then = time.time() - 2 * housekeeping.DAY
    os.utime(room.store.root / "old-left", (then, then))
    assert room.store.bytes_used() > 2**21
    finished_run = CONFIG.with_changes(length=3)
    with pytest.raises(RunError, match="is the limit"):
        room.start(finished_run, "mine", ANN)
    assert not (room.store.root / "old-left").exists()
    (room.store.root / "left" / "timeline" / "1.png").write_bytes(b"")
    room.start(finished_run, "mine", ANN)
    wait_for(lambda: not room._worker.holds("mine"))
    assert room.rename("mine", "left", ANN) == "left"


def test_visitors_are_remembered_for_when_they_were_here(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path, "secret")
    visitors.note(BOB)
    assert visitors.last_seen("") == 0  # nobody is never here, whoever else comes
    assert visitors.last_seen("ann") == 0
    before = time.time()
    visitors.note(ANN)
    assert Visitors(tmp_path, "secret").last_seen("ann") >= before - 2


def test_nothing_is_kept_about_visitors_of_long_ago(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path, "secret")
    visitors.note(ANN)
    visitors.note(BOB)
    then = time.time() - 100
    os.utime(tmp_path / SEEN_NAME / "ann", (then, then))
    visitors.forget_absent(50)
    assert [path.name for path in (tmp_path / SEEN_NAME).iterdir()] == ["bob"]
    assert visitors.last_seen("bob") > then + 50
