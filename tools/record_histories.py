"""Trains the runs of tests/histories on real MNIST and writes what the page's diagnosis would see of them.

    python tools/record_histories.py

The tests read the recordings, because the same run ends differently on another machine.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gan.config import RunConfig, recipe  # noqa: E402
from gan.data import load_digits  # noqa: E402
from gan.errors import TrainingError  # noqa: E402
from gan.judge import report  # noqa: E402
from gan.trainer import STEPS_BETWEEN_CHECKS, Trainer  # noqa: E402

FOLDER = ROOT / "tests" / "histories"
STEPS_BETWEEN_LOOKS = 100

# name: recipe, what is changed in it, and its steps
RUNS: dict[str, tuple[str, dict[str, object], int]] = {
    "healthy": ("fast", {}, 1000),
    "d-wins": ("fast", {"lr_g": 1e-6, "lr_d": 2e-3}, 400),
    "collapsed": ("classic", {"loss": "lsgan", "lr_g": 1e-2, "lr_d": 1e-2}, 400),
    "diverged": ("classic", {"loss": "wgan-gp", "lr_g": 0.1, "lr_d": 0.1}, 200),
}


def record(name: str) -> None:
    """Train one run and write its history (steps, 5) and the judge's looks (L, 14), with its settings."""
    base, changes, steps = RUNS[name]
    config: RunConfig = recipe(base).with_changes(precision="fp32", **changes)
    trainer = Trainer(config, load_digits("mnist", Path()), torch.device("cpu"))
    try:
        for step in range(1, steps + 1):
            trainer.step()
            if step % STEPS_BETWEEN_LOOKS == 0:
                found = report.look(trainer.networks(name))
                trainer.add_look(found.distance, found.noise, found.confidence, found.shares)
    except TrainingError as error:
        print(f"{name}: {error} Its last {STEPS_BETWEEN_CHECKS} steps are not recorded.")
    tables = {"history": trainer._history.rows, "looks": trainer.looks}
    FOLDER.mkdir(exist_ok=True)
    save_file(
        {key: np.ascontiguousarray(rows) for key, rows in tables.items()},
        FOLDER / f"{name}.safetensors",
        {"config": json.dumps(config.to_dict())},
    )
    print(f"{name}: {len(trainer._history)} steps, {len(trainer.looks)} looks")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or RUNS:
        record(wanted)
