"""Numbers that compare a set of generated digits with real ones, from the judge's features.

All functions are pure; features are float (N, F), probabilities (N, 10).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]
NEIGHBOURS = 3  # Kynkaanniemi et al. 2019 use the third nearest neighbour
_CHUNK = 2000


@dataclass(frozen=True)
class Gaussian:
    """Mean (F,) and covariance (F, F) of features, in double precision."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def of(cls, features: Array) -> "Gaussian":
        """The Gaussian that fits `features` (N, F) best; N must be at least 2."""
        wide = features.astype(np.float64)
        return cls(wide.mean(axis=0), np.cov(wide, rowvar=False))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """Squared Frechet distance of two Gaussians: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    Dowson and Landau 1982; on a network's features, Heusel et al. 2017, https://arxiv.org/abs/1706.08500. The
    trace of the root is the sum of the roots of the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric.
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ second.covariance @ root)
    root_trace = np.sqrt(np.clip(mixed, 0, None)).sum()
    apart = ((first.mean - second.mean) ** 2).sum()
    distance = apart + np.trace(first.covariance) + np.trace(second.covariance) - 2 * root_trace
    return max(0.0, float(distance))


def distance_noise(features: Array, reference: Gaussian, draws: int = 8, seed: int = 0) -> float:
    """Standard error of the Frechet distance of `features` (N, F) to `reference`, by the bootstrap."""
    chance = np.random.default_rng(seed)
    resampled = [features[chance.integers(len(features), size=len(features))] for _ in range(draws)]
    return float(np.std([frechet_distance(Gaussian.of(rows), reference) for rows in resampled], ddof=1))


def class_shares(probabilities: Array) -> Array:
    """How the digits are spread over the classes by the judge's reading, (10,), summing to 1."""
    counts = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    return (counts / len(probabilities)).astype(np.float32)


COVERED_SHARE = 0.02  # a fifth of an even share


def coverage(shares: Array) -> int:
    """How many classes have at least COVERED_SHARE of the digits."""
    return int((shares >= COVERED_SHARE).sum())


def confidence(probabilities: Array) -> float:
    """Mean probability of the class that the judge reads, 0.1 to 1: blurred digits leave it in doubt."""
    return float(probabilities.max(axis=1).mean())


def precision_and_recall(real: Array, generated: Array) -> tuple[float, float]:
    """Share of generated digits among the real ones, and of real ones among the generated, each 0 to 1.

    Improved precision and recall: a point is among a set if it lies no farther from some member than that
    member's third nearest neighbour does. Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991, eq. 2.
    """
    return _share_inside(generated, real), _share_inside(real, generated)


def _share_inside(points: Array, members: Array) -> float:
    inside, tensor = torch.from_numpy(points), torch.from_numpy(members)
    radii = torch.cat(
        [
            torch.cdist(chunk, tensor).kthvalue(NEIGHBOURS + 1, dim=1).values  # itself is the first
            for chunk in tensor.split(_CHUNK)
        ]
    )
    found = [(torch.cdist(chunk, tensor) <= radii).any(dim=1) for chunk in inside.split(_CHUNK)]
    return float(torch.cat(found).float().mean())


def nearest(queries: Array, gallery: Tensor, count: int) -> tuple[NDArray[np.int64], Array]:
    """Positions (Q, count) of the rows (N, F) of `gallery` nearest to each query (Q, F), and their distances.

    The gallery may be of any dtype and is converted a part at a time: 60,000 digits would be 188 MB.
    """
    wanted = torch.from_numpy(queries)
    parts = [torch.cdist(wanted, part.float()) for part in gallery.split(_CHUNK)]
    found = torch.cat(parts, dim=1).topk(count, largest=False)
    return found.indices.numpy(), found.values.numpy()
