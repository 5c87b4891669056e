"""Fixtures that several test files share."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from gan import config, runs
from gan.config import RunConfig
from gan.data import Digits


@pytest.fixture(autouse=True)
def _no_bundled_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores of this process see no bundled runs; tests/test_bundled.py says which ones it wants."""
    monkeypatch.setattr(runs, "BUNDLED", Path("no-such-folder"))


@pytest.fixture(scope="session")
def digits() -> Digits:
    """256 seeded random images with labels, for tests that need data but not real digits."""
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(256, (256, 28, 28), generator=rng, dtype=torch.uint8)
    labels = torch.randint(10, (256,), generator=rng, dtype=torch.uint8)
    return Digits("mnist", images, labels)


@pytest.fixture(scope="session")
def tiny() -> Callable[..., RunConfig]:
    """`tiny(**changes)`: a recipe made small and quick, ready to train."""

    def make(recipe: str = "dcgan", **changes: object) -> RunConfig:
        small = {"batch_size": 8, "latent_dim": 8, "precision": "fp32", "length": 100, "unit": "steps"}
        return config.recipe(recipe).with_changes(**{**small, **changes})

    return make


# A slow machine must not fail a test, nor the examples of one run decide the next.
settings.register_profile("live-gan", deadline=None, database=None)
settings.load_profile("live-gan")


def pytest_sessionfinish() -> None:
    """A thread that is inside torch when the interpreter ends makes it abort."""
    for thread in threading.enumerate():
        if thread.name in ("judge", "warm-up"):
            thread.join(30)
