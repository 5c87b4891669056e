"""Parzen-window log-likelihood, by the protocol of Goodfellow et al. 2014, section 5.

A Gaussian window of width sigma stands on every generated digit; sigma is the one under which held-out digits
are likeliest. The estimate says little about how digits look (Theis et al. 2016, https://arxiv.org/abs/1511.01844);
it is here because the first paper reports it: 225 +- 2 for its GAN on MNIST.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Images = NDArray[np.uint8]
SIGMAS = np.geomspace(0.1, 1.0, 20)
_CHUNK = 500


@dataclass(frozen=True)
class Likelihood:
    """Mean log-likelihood of the test digits in nats, its standard error, and the width of the windows."""

    mean: float
    standard_error: float
    sigma: float


def parzen_likelihood(generated: Images, held_out: Images, test: Images) -> Likelihood:
    """How likely `test` is under windows on `generated`; all uint8 (N, 28, 28), pixels scaled to 0..1.

    Args:
        held_out: real digits, not among `test`, to choose sigma by.
    """
    centres = _pixels(generated)
    squared = _squared_distances(_pixels(held_out), centres)
    size = centres.shape[1]
    sigma = max(SIGMAS, key=lambda width: float(_log_density(squared, float(width), size).mean()))
    values = torch.cat(
        [
            _log_density(_squared_distances(chunk, centres), float(sigma), size)
            for chunk in _pixels(test).split(_CHUNK)
        ]
    )
    return Likelihood(float(values.mean()), float(values.std() / math.sqrt(len(values))), float(sigma))


def _pixels(images: Images) -> Tensor:
    return torch.from_numpy(images).flatten(1).float() / 255


def _squared_distances(points: Tensor, centres: Tensor) -> Tensor:
    distances: Tensor = torch.cdist(points, centres)
    return distances.square()


def _log_density(squared: Tensor, sigma: float, size: int) -> Tensor:
    """Log of the mean of Gaussian windows in `size` dimensions, from squared distances (points, centres)."""
    normaliser = math.log(squared.shape[1]) + size / 2 * math.log(2 * math.pi * sigma**2)
    return torch.logsumexp(squared.double() / (-2 * sigma**2), dim=1) - normaliser
