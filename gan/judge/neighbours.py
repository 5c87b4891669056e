"""Is a generated digit a copy? The training digits nearest to it, in pixels and in the judge's features."""

from dataclasses import dataclass, replace
from functools import cache
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan.judge.metrics import nearest
from gan.judge.network import judge
from gan.judge.report import Images, real_digits

COUNT = 6
_ASKED = 200  # real test digits whose nearest training digits tell what distance is usual

# One for each: features take seconds, and a click that only wants pixels must not wait for them.
_preparing_pixels, _preparing_features = Lock(), Lock()


@dataclass(frozen=True)
class Neighbours:
    """The COUNT nearest training digits, uint8 (COUNT, 28, 28), and two Euclidean distances.

    `distance` is that of the nearest; `usual` is the median distance of a real test digit to its nearest. A
    digit far closer than usual is a copy, one far beyond it looks like no real digit.
    """

    images: Images
    distance: float
    usual: float


@dataclass(frozen=True)
class _Space:
    gallery: Tensor  # (60000, F)
    usual: float

    @classmethod
    def of(cls, gallery: Tensor, test: NDArray[np.float32]) -> "_Space":
        space = cls(gallery, 0.0)
        return replace(space, usual=space.median(test))

    def median(self, points: NDArray[np.float32]) -> float:
        """Median distance of points (N, F) to their nearest neighbours."""
        return float(np.median(nearest(points, self.gallery, 1)[1]))

    def neighbours(self, point: NDArray[np.float32]) -> Neighbours:
        positions, distances = nearest(point, self.gallery, COUNT)
        return Neighbours(real_digits(train=True)[positions[0]], float(distances[0, 0]), self.usual)


@dataclass(frozen=True)
class Originality:
    """Median distances of generated digits to their nearest training digits, and those of real test digits.

    Far below the usual ones the generator repeats what it has seen.
    """

    pixels: float  # Euclidean, pixels ranging from 0 to 1
    usual_pixels: float
    features: float
    usual_features: float


def originality(images: Images) -> Originality:
    """How near the first few hundred of `images` uint8 (N, 28, 28) are to training digits."""
    asked = images[:_ASKED]
    pixels, features = _pixel_space(), _feature_space()
    return Originality(
        pixels.median(asked.reshape(len(asked), -1).astype(np.float32)) / 255,
        pixels.usual / 255,
        features.median(judge(asked)[0]),
        features.usual,
    )


def in_pixels(image: Images) -> Neighbours:
    """The training digits nearest to a digit uint8 (28, 28), pixels ranging from 0 to 1."""
    with _preparing_pixels:
        space = _pixel_space()
    found = space.neighbours(image.reshape(1, -1).astype(np.float32))
    return Neighbours(found.images, found.distance / 255, found.usual / 255)


def in_features(image: Images) -> Neighbours:
    """The training digits whose features are nearest; the first call judges all of them, some ten seconds."""
    with _preparing_features:
        space = _feature_space()
    return space.neighbours(judge(image[None])[0])


@cache
def _pixel_space() -> _Space:
    test = real_digits(train=False)[:_ASKED].reshape(_ASKED, -1).astype(np.float32)
    return _Space.of(torch.from_numpy(real_digits(train=True)).flatten(1), test)


@cache
def _feature_space() -> _Space:
    test, _ = judge(real_digits(train=False)[:_ASKED])
    return _Space.of(torch.from_numpy(judge(real_digits(train=True))[0]), test)
