"""How fast each recipe trains: `classic` against the document's loop with the same networks, in turns."""

import time
from collections.abc import Callable

import torch

from benchmarks import document
from gan.config import RECIPES, ServerSettings, recipe
from gan.data import load_digits
from gan.precision import available_cores, settle_precision
from gan.trainer import Trainer

PAIRS = 7
WINDOW_SECONDS = 6
WARM_UP_STEPS = 20


def measure() -> dict[str, list[float]]:
    """Images a second, and for `classic` the ratio of each pair of windows; all cores."""
    torch.set_num_threads(available_cores())
    figures: dict[str, list[float]] = {"the document's loop, images/s": [], "classic over it, ratio": []}
    with document.loader() as batches:
        theirs = document.Loop(batches)
        for name in RECIPES:
            trainer = trainer_of(name)
            speeds = figures.setdefault(f"{name}, images/s", [])
            for _ in range(PAIRS):
                speeds.append(_speed(trainer.step, trainer.config.batch_size))
                if name == "classic":
                    figures["the document's loop, images/s"].append(_speed(theirs.step, document.BATCH))
                    ratio = speeds[-1] / figures["the document's loop, images/s"][-1]
                    figures["classic over it, ratio"].append(ratio)
    return figures


def trainer_of(name: str, **changes: object) -> Trainer:
    """A fresh trainer of a recipe, at the precision that is fastest here."""
    digits = load_digits("mnist", ServerSettings().data)
    config = settle_precision(recipe(name).with_changes(**changes), digits, torch.device("cpu"))
    return Trainer(config, digits, torch.device("cpu"))


def _speed(step: Callable[[], object], batch: int) -> float:
    for _ in range(WARM_UP_STEPS):
        step()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < WINDOW_SECONDS:
        step()
        steps += 1
    return batch * steps / (time.perf_counter() - started)
