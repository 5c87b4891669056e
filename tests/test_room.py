"""A room of visitors in one Studio: whose a run is, fair turns, the line, and the presenter."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gan import housekeeping, worker
from gan.config import RunConfig, ServerSettings
from gan.data import Digits
from gan.errors import DataError, GanError, RunError
from gan.runs import RunStore
from gan.snapshot import Snapshot, Status
from gan.studio import LIVE, Studio
from gan.visitors import LOCAL, Visitor, Visitors
from gan.waiting import seconds_until_seat

CONFIG = RunConfig(latent_dim=4, batch_size=8, precision="fp32", ema=0.9, length=100_000, unit="steps")
ANN, BOB, TEACHER = Visitor("ann"), Visitor("bob"), Visitor("teacher", presenter=True)


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


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


# -- turns ---------------------------------------------------------------------------------------------------


def test_runs_take_turns_and_all_of_them_move(room: Studio) -> None:
    runs = [room.start(CONFIG, f"run-{number}", Visitor(f"v{number}")) for number in range(4)]
    wait_for(lambda: all(steps(room, run) > 20 for run in runs))
    before = {run: steps(room, run) for run in runs}
    time.sleep(4)
    gained = [steps(room, run) - before[run] for run in runs]
    assert min(gained) > 0.4 * max(gained)


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
    assert open_room(shared=False).visitor("anything") is LOCAL


# -- room on the disk ----------------------------------------------------------------------------------------


def test_at_the_disk_limit_the_oldest_runs_of_absent_owners_go_first(
    open_room: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = open_room(disk_megabytes=1)
    for name, visitor in (("old", ANN), ("new", ANN), ("bobs", BOB)):
        room.start(CONFIG.with_changes(length=3), name, visitor)
        wait_for(lambda name=name: not room._worker.holds(name))
    monkeypatch.setattr(RunStore, "bytes_used", lambda self: sum(2**19 for run in self.list()))
    room.visitors.note(BOB)
    monkeypatch.setattr(housekeeping.time, "time", lambda: time.monotonic() + 10 * housekeeping.DAY)
    monkeypatch.setattr(room.visitors, "last_seen", lambda owner: 1e12 if owner == "bob" else 0.0)
    room.start(CONFIG, "next", TEACHER)
    assert {run.name for run in room.store.list()} == {"bobs"}
    monkeypatch.setattr(RunStore, "bytes_used", lambda _: 2**21)
    with pytest.raises(RunError, match="take 2 MB, and 1 MB is the limit"):
        room.start(CONFIG, "another", ANN)
    assert room.store.exists("bobs")


def test_visitors_are_remembered_for_when_they_were_here(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path, "secret")
    assert visitors.last_seen("ann") == 0
    before = time.time()
    visitors.note(ANN)
    assert Visitors(tmp_path, "secret").last_seen("ann") >= before - 2
