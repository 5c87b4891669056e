"""seed -> latents -> images. Touches no global state, so that the same seed is the same picture."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan.config import Range
from gan.errors import ConfigError, RunError
from gan.networks import CLASSES

SEEDS = Range(0, 2**32 - 1)
TRUNCATIONS = Range(0.3, 1.5)
MOST_DIGITS = 100_000
BATCH = 500

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Networks:
    """Frozen copies for sampling. A slim checkpoint has one generator: the EMA one where there is one."""

    run: str
    dataset: str
    latent_dim: int
    conditional: bool
    generator: nn.Module | None
    ema: nn.Module | None
    discriminator: nn.Module

    def choose(self, weights: str) -> nn.Module:
        """The generator with "ema" or "raw" weights; "best" is EMA where there is one.

        Raises:
            RunError: there is no such generator.
        """
        if weights == "best":
            weights = "raw" if self.ema is None else "ema"
        chosen = self.ema if weights == "ema" else self.generator
        if chosen is None:
            raise RunError("no-ema" if weights == "ema" else "no-raw", run=self.run)
        return chosen


def frozen(network: nn.Module) -> nn.Module:
    """The network itself, made ready for sampling: no training mode, no gradients, the quicker layout."""
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@dataclass(frozen=True)
class SampleRequest:
    """One request for digits; checked when made.

    Raises:
        ConfigError: a value is out of range.
    """

    seed: float = 0.0  # 3.5 is the spherical midpoint of seeds 3 and 4
    count: int = 64
    truncation: float = 1.0  # latents are multiplied by this
    digit: int | None = None  # None: all ten in turn, where there are labels
    table: bool = False  # each latent with all ten labels, one after the other: rows of a table
    weights: str = "best"  # "best", "ema" or "raw"
    most: int = MOST_DIGITS

    def __post_init__(self) -> None:
        digit = 0 if self.digit is None else self.digit
        if self.table and self.digit is not None:
            raise ConfigError(
                "out-of-range", field="digit", value=digit, allowed="none, for a table of all ten"
            )
        checks = (
            ("seed", self.seed, SEEDS),
            ("count", self.count, Range(1, self.most)),
            ("truncation", self.truncation, TRUNCATIONS),
            ("digit", digit, Range(0, CLASSES - 1)),
        )
        for name, value, allowed in checks:
            if not isinstance(value, int | float) or isinstance(value, bool) or value not in allowed:
                raise ConfigError("out-of-range", field=name, value=value, allowed=str(allowed))
        if self.weights not in ("best", "ema", "raw"):
            raise ConfigError("out-of-range", field="weights", value=self.weights, allowed="best, ema, raw")
        for name, value in (("count", self.count), ("digit", digit)):
            if int(value) != value:
                raise ConfigError("wrong-type", field=name, value=value, allowed="a whole number")
        object.__setattr__(self, "count", int(self.count))  # a page's number may be 64.0
        object.__setattr__(self, "digit", None if self.digit is None else int(digit))


def latents(seed: float, count: int, latent_dim: int) -> Tensor:
    """Standard normal latents, float32 (count, latent_dim); row i does not depend on `count`.

    Whole seeds are keys of numpy's Philox generator, which is specified and prefix-stable; between two whole
    seeds the rows move along great arcs (slerp: Shoemake 1985, and White 2016 for why arcs suit GANs).
    """
    return torch.cat(list(_latent_batches(seed, count, latent_dim)))


def _latent_batches(seed: float, count: int, latent_dim: int) -> Iterator[Tensor]:
    low = int(np.floor(seed))
    fraction = seed - low
    streams = [np.random.Generator(np.random.Philox(key=low))]
    if fraction:
        streams.append(np.random.Generator(np.random.Philox(key=low + 1)))
    for start in range(0, count, BATCH):
        shape = (min(BATCH, count - start), latent_dim)
        ends = [stream.standard_normal(shape) for stream in streams]
        rows = _slerp(ends[0], ends[1], fraction) if fraction else ends[0]
        yield torch.from_numpy(rows.astype(np.float32))


def _slerp(first: NDArray[np.float64], second: NDArray[np.float64], fraction: float) -> NDArray[np.float64]:
    lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second)]
    start, end = first / lengths[0], second / lengths[1]
    angle = np.arccos(np.clip((start * end).sum(axis=1, keepdims=True), -1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        arc = (np.sin((1 - fraction) * angle) * start + np.sin(fraction * angle) * end) / np.sin(angle)
    # Directions turn and lengths change evenly. The arc of the rows themselves would be many times too long
    # between opposite ones, which latents of few dimensions often are.
    arc *= (1 - fraction) * lengths[0] + fraction * lengths[1]
    # Parallel rows, which only one-dimensional latents have, span no arc: go straight.
    line = (1 - fraction) * first + fraction * second
    return np.where(np.sin(angle) < 1e-6, line, arc)


def sample(networks: Networks, request: SampleRequest) -> Images:
    """Digits for a request, uint8 (count, 28, 28), 0 is background.

    Raises:
        RunError: the networks have no such weights, or no labels to choose a digit by.
    """
    generator = networks.choose(request.weights)
    if (request.digit is not None or request.table) and not networks.conditional:
        raise RunError("not-conditional", run=networks.run)
    device = next(generator.parameters()).device
    repeats = CLASSES if request.table else 1
    batches, start = [], 0
    with torch.inference_mode():
        for drawn in _latent_batches(request.seed, -(-request.count // repeats), networks.latent_dim):
            rows = drawn.repeat_interleave(repeats, dim=0)[: request.count - start]
            labels = None
            if networks.conditional:
                labels = _labels(request.digit, start, len(rows)).to(device)
            pixels = generator(rows.to(device) * request.truncation, labels)
            batches.append(to_bytes(pixels))
            start += len(rows)
    return np.concatenate(batches)


def _labels(digit: int | None, start: int, count: int) -> Tensor:
    """All `digit`, or 0 to 9 in turn from position `start`."""
    return torch.arange(start, start + count) % CLASSES if digit is None else torch.full((count,), digit)


def to_bytes(pixels: Tensor) -> Images:
    """Network output (N, 1, 28, 28) in [-1, 1] as uint8 (N, 28, 28)."""
    scaled = ((pixels.float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).squeeze(1).cpu().numpy()


def scores(networks: Networks, images: Images, digit: int | None = None) -> NDArray[np.float32]:
    """D's probability that each image is real, float32 (N,); without dropout, so that it is repeatable."""
    device = next(networks.discriminator.parameters()).device
    with torch.inference_mode():
        pixels = torch.from_numpy(images).to(device).unsqueeze(1).float().div(127.5).sub(1.0)
        labels = _labels(digit, 0, len(images)).to(device) if networks.conditional else None
        probabilities: NDArray[np.float32] = networks.discriminator(pixels, labels).sigmoid().cpu().numpy()
    return probabilities
