"""How long a visitor waits for 64 digits, while nothing trains and while the default recipe does."""

import tempfile
import time
from pathlib import Path

from gan.config import DEFAULT_RECIPE, ServerSettings, recipe
from gan.sampling import SampleRequest
from gan.studio import LIVE, Studio
from gan.ui.sample_tab import draw

REQUESTS = 40
DIGITS = 64


def measure() -> dict[str, list[float]]:
    """Milliseconds from the request to the finished PNG, one value for each of REQUESTS seeds."""
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(ServerSettings(checkpoints=Path(folder)))
        studio.start(recipe(DEFAULT_RECIPE).with_changes(length=600))
        while studio.snapshot is None or studio.snapshot.steps < 100:
            time.sleep(0.1)
        training = _latencies(studio)
        studio.pause()
        time.sleep(1)
        idle = _latencies(studio)
        studio.close()
    return {f"{DIGITS} digits while idle, ms": idle, f"{DIGITS} digits while training, ms": training}


def _latencies(studio: Studio) -> list[float]:
    times = []
    for seed in range(REQUESTS):
        started = time.perf_counter()
        draw(studio.networks(LIVE), SampleRequest(seed, DIGITS))
        times.append(1000 * (time.perf_counter() - started))
        time.sleep(0.05)
    return times
