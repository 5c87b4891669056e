"""What saving costs: the time of a save over the time between two of them. Training waits meanwhile."""

import tempfile
import time
from pathlib import Path

import torch

from gan.autosave import MOST_SHARE
from gan.config import RECIPES, ServerSettings
from gan.data import load_digits
from gan.precision import available_cores, serving_threads, settle_precision
from gan.runs import RunStore
from gan.trainer import Trainer

SAVES = 7


def measure() -> dict[str, list[float]]:
    """Percent of the training time for each recipe, one value for each save, and the size of its file."""
    settings, figures = ServerSettings(), {}
    torch.set_num_threads(serving_threads(available_cores()))
    for name, config in RECIPES.items():
        digits = load_digits(config.dataset, settings.data)
        device = torch.device("cpu")
        trainer = Trainer(settle_precision(config, digits, device), digits, device)
        with tempfile.TemporaryDirectory() as folder:
            store, costs = RunStore(Path(folder)), []
            for _ in range(SAVES):
                trainer.step()
                started = time.perf_counter()
                store.save("bench", trainer)
                cost = time.perf_counter() - started
                wait = max(settings.autosave_seconds, cost / MOST_SHARE)
                costs.append(100 * cost / (cost + wait))
            figures[f"saving {name}, % of time"] = costs
            figures[f"checkpoint of {name}, MB"] = [store.path("bench").stat().st_size / 1e6]
    return figures
