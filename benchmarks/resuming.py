"""How long a saved run takes until it trains again: reading and checking its file, and the first step."""

import tempfile
import time
from pathlib import Path

import torch

from benchmarks.speed import trainer_of
from gan.config import RECIPES, ServerSettings
from gan.data import Digits, load_digits
from gan.precision import available_cores
from gan.runs import RunStore
from gan.trainer import Trainer

ROUNDS = 5
STEPS = 200


def measure() -> dict[str, list[float]]:
    """Seconds for each recipe, one value for each of ROUNDS."""
    torch.set_num_threads(available_cores())
    digits, figures = load_digits("mnist", ServerSettings().data), {}
    for name in RECIPES:
        trainer = trainer_of(name, length=100_000, unit="steps")
        for _ in range(STEPS):
            trainer.step()
        with tempfile.TemporaryDirectory() as folder:
            store = RunStore(Path(folder))
            store.save("bench", trainer)
            figures[f"resuming {name}, s"] = [_resume(store, digits) for _ in range(ROUNDS)]
    return figures


def _resume(store: RunStore, digits: Digits) -> float:
    started = time.perf_counter()
    saved = store.load("bench")
    config = saved.summary.config
    Trainer.from_state(config, digits, torch.device("cpu"), saved.tensors, saved.summary.seconds).step()
    return time.perf_counter() - started
