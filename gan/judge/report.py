"""A short look during training, and the whole report on a run.

The Frechet distance of a sample is too large by about (features) / (sample size) times their variance, the
more so the smaller the sample. So every distance stands beside its floor: that of as many real training
digits, drawn with a fixed seed. With 10,000 digits the floor is near 0.1, and what is above it is the
generator's own.
"""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan.data import load_digits
from gan.judge.metrics import (
    Gaussian,
    class_shares,
    confidence,
    coverage,
    distance_noise,
    frechet_distance,
    precision_and_recall,
)
from gan.judge.network import judge
from gan.judge.parzen import parzen_likelihood
from gan.sampling import Networks, SampleRequest, sample

DATASET = "mnist"  # what the judge was trained on, and can judge
FULL_COUNT = 10_000
HELD_OUT = 1_000
LOOK_COUNT = 500
_DRAW_SEED = 0

Images = NDArray[np.uint8]

_warming_up = Lock()
_warmed_up: list[bool] = []  # not empty once a look takes only its own time


@dataclass(frozen=True)
class Quality:
    """A short look at LOOK_COUNT digits: Frechet distance with its standard error, spread and confidence."""

    distance: float
    noise: float
    confidence: float
    shares: tuple[float, ...]  # of the ten digits


@dataclass(frozen=True)
class Report:
    """All that is measured of a finished generator, on FULL_COUNT digits; see gan/judge/metrics.py."""

    distance: float
    floor: float  # the distance of as many real training digits
    coverage: int
    shares: tuple[float, ...]
    confidence: float
    precision: float
    recall: float
    parzen: float  # nats
    parzen_standard_error: float
    parzen_sigma: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@cache
def real_digits(train: bool) -> Images:
    """The digits that everything here is compared with: the training or the test set, uint8 (N, 28, 28)."""
    images: Images = load_digits(DATASET, Path(), train).images.numpy()
    return images


def _drawn_from_training(count: int, after: int = 0) -> Images:
    """A seeded random draw of training digits; another `after` means other digits."""
    order = np.random.default_rng(_DRAW_SEED).permutation(len(real_digits(True)))
    drawn: Images = real_digits(True)[order[after : after + count]]
    return drawn


@cache
def reference() -> tuple[Gaussian, NDArray[np.float32]]:
    """The Gaussian that fits the test digits' features, and those features (10000, F)."""
    features, _ = judge(real_digits(False))
    return Gaussian.of(features), features


@cache
def floor(count: int) -> float:
    """Frechet distance of `count` real training digits to the test set: a perfect generator's."""
    features, _ = judge(_drawn_from_training(count))
    return frechet_distance(Gaussian.of(features), reference()[0])


def warm_up() -> None:
    """Read the real digits once, so that a look takes only its own time; the first call takes a second."""
    with _warming_up:
        floor(LOOK_COUNT)
        reference()
        _warmed_up.append(True)


def ready() -> bool:
    """Whether a look takes only its own time by now; if not, that is seen to in the background."""
    if not _warmed_up and not _warming_up.locked():
        Thread(target=warm_up, name="judge", daemon=True).start()
    return bool(_warmed_up)


def look(networks: Networks, seed: float = 0) -> Quality:
    """How good a generator is now, on LOOK_COUNT digits of one seed; compare with `floor(LOOK_COUNT)`."""
    features, probabilities = judge(sample(networks, SampleRequest(seed, LOOK_COUNT)))
    real, _ = reference()
    return Quality(
        frechet_distance(Gaussian.of(features), real),
        distance_noise(features, real, draws=5),
        confidence(probabilities),
        tuple(class_shares(probabilities).tolist()),
    )


def evaluate_images(images: Images) -> Report:
    """The whole report on images uint8 (N, 28, 28)."""
    features, probabilities = judge(images)
    real, real_features = reference()
    precision, recall = precision_and_recall(real_features, features)
    held_out = _drawn_from_training(HELD_OUT, after=FULL_COUNT)
    likelihood = parzen_likelihood(images, held_out, real_digits(False))
    shares = class_shares(probabilities)
    return Report(
        frechet_distance(Gaussian.of(features), real),
        floor(len(images)),
        coverage(shares),
        tuple(shares.tolist()),
        confidence(probabilities),
        precision,
        recall,
        likelihood.mean,
        likelihood.standard_error,
        likelihood.sigma,
    )
