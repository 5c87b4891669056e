"""Sentences that fit recorded histories: what the real trainer wrote in runs that went well and badly."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from gan.config import RunConfig, recipe
from gan.diagnosis import diagnose
from gan.history import LOOK_COLUMNS, History
from gan.ui.text import TEXT

HISTORIES = Path(__file__).parent / "histories"


def history(d_real: float, d_fake: float, steps: int = 400, loss_d: float = 1.0) -> History:
    made = History()
    made.extend(np.tile(np.array([[loss_d, 1.0, d_real, d_fake, 0.01]], np.float32), (steps, 1)))
    return made


def looks(*distances: float, shares: tuple[float, ...] = (0.1,) * 10) -> np.ndarray:
    rows = [[100.0 * i, distance, 0.5, 0.8, *shares] for i, distance in enumerate(distances, 1)]
    return np.array(rows, np.float32).reshape(-1, len(LOOK_COLUMNS))


CONFIG = recipe("fast")


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ((history(0.5, 0.5, steps=10), looks()), "early"),
        ((history(0.6, 0.4), looks()), "learning"),
        ((history(0.6, 0.4), looks(90, 60, 40, 30, 20, 15)), "learning"),
        ((history(0.6, 0.4), looks(90, 30, 8, 8, 8, 8, 8, 8.2)), "steady"),
        ((history(0.99, 0.01), looks(90)), "d-wins"),
        ((history(0.5, 0.5, loss_d=4000.0), looks(90)), "diverged"),
        ((history(0.5, 0.5, loss_d=np.nan), looks(90)), "diverged"),
        ((history(0.4, 0.7), looks(90)), "g-wins"),
        ((history(0.6, 0.4), looks(90, 90, 90, 90, shares=(0.9, 0.1, *([0.0] * 8)))), "collapsed"),
    ],
)
def test_each_state_has_its_finding(told: tuple[History, np.ndarray], key: str) -> None:
    found = diagnose(CONFIG, *told)
    assert found.key == key
    assert f"diagnosis_{key.replace('-', '_')}" in TEXT


def test_a_suggestion_is_always_allowed() -> None:
    for told in ((history(0.99, 0.01), looks()), (history(0.4, 0.7), looks())):
        found = diagnose(CONFIG, *told)
        assert found.suggestion
        CONFIG.with_changes(lr_g=found.suggestion[0], lr_d=found.suggestion[1])


def test_scores_of_a_critic_are_not_taken_for_probabilities() -> None:
    assert diagnose(CONFIG.with_changes(loss="wgan-gp"), history(0.99, 0.01), looks()).key == "learning"


@pytest.mark.parametrize(
    ("run", "key"),
    [("healthy", "learning"), ("collapsed", "collapsed"), ("d-wins", "d-wins"), ("diverged", "diverged")],
)
def test_recorded_runs_are_understood(run: str, key: str) -> None:
    """The recordings are of real training on MNIST: tools/record_histories.py."""
    with safe_open(HISTORIES / f"{run}.safetensors", "numpy") as file:
        config = RunConfig.from_dict(json.loads(file.metadata()["config"]))
        recorded, looks = History(file.get_tensor("history")), file.get_tensor("looks")
    assert diagnose(config, recorded, looks).key == key


def test_a_short_run_that_still_falls_is_not_called_slow() -> None:
    rows = np.tile(np.array([[1.0, 1.0, 0.55, 0.45, 0.01]], np.float32), (184, 1))
    looks = np.zeros((4, len(LOOK_COLUMNS)), np.float32)
    looks[:, LOOK_COLUMNS.index("step")] = (7, 101, 163, 184)
    looks[:, LOOK_COLUMNS.index("distance")] = (1100, 28, 19, 15.7)
    looks[:, LOOK_COLUMNS.index("noise")] = 0.9
    looks[:, LOOK_COLUMNS.index("share_0") :] = 0.1
    assert diagnose(RunConfig(), History(rows), looks).key == "learning"
