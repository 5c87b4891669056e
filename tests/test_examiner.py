"""The judge's looks at a run: soon, often, and never more than their share of its time."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from gan import examiner as examiner_module
from gan.config import RunConfig
from gan.data import Digits
from gan.examiner import INTERVAL, MOST_SHARE, Examiner
from gan.history import LOOK_COLUMNS
from gan.judge.report import Quality
from gan.snapshot import Snapshot, Status, take_snapshot
from gan.trainer import Trainer


class Watch:
    """A trainer whose clock the test moves, and looks that take as long as it says."""

    def __init__(self, trainer: Trainer, cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trainer, self.cost, self.now, self.looks = trainer, cost, 0.0, 0
        self.examiner = Examiner()
        monkeypatch.setattr(examiner_module.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(examiner_module.report, "ready", lambda: True)
        monkeypatch.setattr(examiner_module.report, "look", self._look)
        monkeypatch.setattr(Trainer, "seconds", property(lambda _: self.trained))
        self.trained = 0.0

    def _look(self, _: object) -> Quality:
        self.now += self.cost
        self.looks += 1
        return Quality(50.0 / self.looks, 1.0, 0.9, (0.1,) * 10)

    def train(self, seconds: float, snapshot: Snapshot) -> None:
        for _ in range(int(seconds / 0.5)):
            self.trained += 0.5
            self.examiner.look_if_due(snapshot, self.trainer)


@pytest.fixture
def trainer(tiny: Callable[..., RunConfig], digits: Digits) -> Trainer:
    made = Trainer(tiny(), digits, torch.device("cpu"))
    made.step()
    return made


def shown(trainer: Trainer) -> Snapshot:
    return take_snapshot("mine", Status.TRAINING, trainer)


@pytest.mark.parametrize("cost", [0.001, 0.05, 0.3, 3.0])
def test_looks_take_at_most_their_share(
    cost: float, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(trainer, cost, monkeypatch)
    watch.train(600, shown(trainer))
    assert watch.looks > 1
    assert (watch.looks - 1) * cost <= MOST_SHARE * 600
    assert watch.looks <= 600 / INTERVAL + 1


def test_the_first_look_comes_within_a_second_and_is_noted(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(trainer, 0.01, monkeypatch)
    watch.train(1, shown(trainer))
    assert watch.looks == 1
    row = dict(zip(LOOK_COLUMNS, trainer.looks[0].tolist(), strict=True))
    assert (row["step"], row["distance"], row["noise"]) == (1, 50, 1)
    assert np.allclose(trainer.looks[0, 4:], 0.1)


def test_a_run_that_rests_is_looked_at_once_at_its_last_step(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(trainer, 0.01, monkeypatch)
    examiner = watch.examiner
    last = shown(trainer)
    assert examiner.look_at_last(last, trainer)
    assert not examiner.look_at_last(last, trainer)
    assert trainer.looks[:, 0].tolist() == [last.steps]


def test_other_datasets_and_untrained_networks_are_not_looked_at(
    trainer: Trainer, tiny: Callable[..., RunConfig], digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(trainer, 0.01, monkeypatch)
    fresh = Trainer(tiny(), digits, torch.device("cpu"))
    fashion = Trainer(tiny(dataset="fashion-mnist"), digits, torch.device("cpu"))
    fashion.step()
    for other in (fresh, fashion):
        watch.train(10, shown(other))
    assert watch.looks == 0
