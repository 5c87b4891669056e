"""The runs that come with the project: always there, good, small, and never changed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.checkpoint import slim
from gan.config import RunConfig
from gan.data import Digits
from gan.errors import RunError
from gan.judge import report
from gan.runs import CHECKPOINT_NAME, RunStore
from gan.sampling import SampleRequest, sample
from gan.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "checkpoints" / "bundled"
NAMES = ("best", "classic-10-epochs", "conditional-1-minute", "fast-1-minute")
MEGABYTE = 10**6


@pytest.fixture
def store(tmp_path: Path, tiny: Callable[..., RunConfig], digits: Digits) -> RunStore:
    """A store with one bundled run "gift" and one of its own, "mine"."""
    maker = RunStore(tmp_path / "bundled")
    trainer = Trainer(tiny(), digits, torch.device("cpu"))
    trainer.step()
    maker.keep_moment("gift", trainer)
    maker.save("whole", trainer)
    maker.save_slim("gift", slim(maker.load("whole")))
    maker.delete("whole")
    made = RunStore(tmp_path / "runs", tmp_path / "bundled")
    made.save("mine", trainer)
    return made


def test_bundled_runs_are_listed_after_ones_own_and_can_be_read(store: RunStore) -> None:
    assert [(run.name, run.bundled) for run in store.list()] == [("mine", False), ("gift", True)]
    assert store.load("gift").summary.kind == "slim"
    assert store.timeline("gift").steps() == [1]
    assert store.exists("gift")


@pytest.mark.parametrize(
    "change",
    [lambda store: store.delete("gift"), lambda store: store.rename("gift", "other")],
    ids=["delete", "rename"],
)
def test_bundled_runs_stay_as_they_are(store: RunStore, change: Callable[[RunStore], None]) -> None:
    with pytest.raises(RunError, match="'gift' came with the project and stays as it is"):
        change(store)
    assert store.load("gift").summary.kind == "slim"


def test_no_run_takes_the_name_of_a_bundled_one_or_of_their_folder(
    tmp_path: Path, tiny: Callable[..., RunConfig], digits: Digits
) -> None:
    root = tmp_path / "runs"
    store = RunStore(root, root / "bundled")
    trainer = Trainer(tiny(), digits, torch.device("cpu"))
    trainer.step()
    store.save("mine", trainer)
    RunStore(root / "bundled").save("gift", trainer)
    assert [run.name for run in store.list()] == ["mine", "gift"]
    for taken in ("gift", "bundled"):
        with pytest.raises(RunError, match="There is a run"):
            store.rename("mine", taken)
        with pytest.raises(RunError, match="There is a run"):
            store.admit(store.path("mine").parent, taken)


@pytest.mark.parametrize("name", NAMES)
def test_each_bundled_run_samples_as_its_grid_and_reports_what_it_is(tmp_path: Path, name: str) -> None:
    store = RunStore(tmp_path, BUNDLED)
    saved = store.load(name)
    assert saved.summary.kind == "slim"
    images = sample(saved.networks(name, torch.device("cpu")), SampleRequest(0, 64))
    grid = np.asarray(Image.open(BUNDLED / name / "grid.png"), np.int16)
    first, last = grid[:56:2, :56:2], grid[-56::2, -56::2]
    assert np.abs(first - images[0]).mean() < 1  # up to rounding on another machine
    assert np.abs(last - images[63]).mean() < 1
    told = json.loads((BUNDLED / name / "report.json").read_text())
    assert told["run"] == name
    assert told["step"] == saved.summary.steps
    assert 55 <= len(store.timeline(name).steps()) <= 100
    folder = BUNDLED / name
    assert (folder / CHECKPOINT_NAME).stat().st_size < 6 * MEGABYTE


def test_the_bundled_runs_are_small_together() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.rglob("*") if path.is_file()) < 15 * MEGABYTE
    assert sorted(path.name for path in BUNDLED.iterdir()) == list(NAMES)


def test_the_report_of_the_best_run_is_true(tmp_path: Path) -> None:
    told = json.loads((BUNDLED / "best" / "report.json").read_text())
    networks = RunStore(tmp_path, BUNDLED).load("best").networks("best", torch.device("cpu"))
    look = report.look(networks)
    assert told["coverage"] == 10
    assert look.distance == pytest.approx(told["distance"] + report.floor(report.LOOK_COUNT), rel=0.5)
    assert np.abs(np.array(look.shares) - np.array(told["shares"])).max() < 0.06
