"""When a run is saved, on a clock that the test moves."""

from collections.abc import Iterator
from typing import cast

import pytest

from gan import autosave
from gan.autosave import Autosaver
from gan.errors import CheckpointError
from gan.runs import RunStore
from gan.trainer import Trainer


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Run:
    """A trainer that has trained for `seconds`."""

    seconds = 0.0


class SlowStore:
    """A store whose saves take `cost` seconds and fail while `broken`."""

    def __init__(self, clock: Clock, cost: float) -> None:
        self.clock, self.cost, self.broken, self.saves = clock, cost, False, 0

    def save(self, name: str, trainer: Trainer, owner: str) -> None:
        self.clock.now += self.cost
        if self.broken:
            raise CheckpointError("save-failed", run=name, reason="No space left on device")
        self.saves += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(autosave, "time", made)
    return made


def share_spent_saving(clock: Clock, store: SlowStore, seconds: float) -> float:
    saver, run = Autosaver(cast(RunStore, store), "run", interval=10), Run()
    while run.seconds < seconds:
        clock.now += 0.1
        run.seconds += 0.1
        saver.save_if_due(cast(Trainer, run))
    return store.saves * store.cost / (run.seconds + store.saves * store.cost)


def test_quick_saves_come_at_the_interval(clock: Clock) -> None:
    store = SlowStore(clock, cost=0.05)
    share_spent_saving(clock, store, 1000)
    assert store.saves == pytest.approx(99, abs=2)


@pytest.mark.parametrize("cost", [0.3, 1.0, 5.0])
def test_slow_saves_are_stretched_to_two_percent_of_the_training(clock: Clock, cost: float) -> None:
    store = SlowStore(clock, cost)
    assert share_spent_saving(clock, store, 10_000) < 0.0205
    assert store.saves > 30  # stretched, not given up


def test_a_failing_save_is_tried_again_at_its_turn_and_not_at_every_step(clock: Clock) -> None:
    store = SlowStore(clock, cost=0.1)
    store.broken = True
    saver, run = Autosaver(cast(RunStore, store), "run", interval=10), Run()
    attempts = 0
    for _ in range(1000):
        run.seconds += 0.1
        try:
            attempts += saver.save_if_due(cast(Trainer, run))
        except CheckpointError:
            attempts += 1
    assert 8 <= attempts <= 11


def test_a_run_whose_turn_it_is_not_is_not_saved(clock: Clock) -> None:
    store = SlowStore(clock, cost=0.1)
    saver, run = Autosaver(cast(RunStore, store), "run", interval=10), Run()
    for _ in range(1000):
        clock.now += 1  # the others train
        saver.save_if_due(cast(Trainer, run))
    assert store.saves == 0
