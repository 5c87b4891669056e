"""The generators and discriminators.

A generator maps latents (N, latent_dim) to images (N, 1, 28, 28) in [-1, 1]. A discriminator maps images to
logits (N,). Conditional networks also take labels: int64 (N,), 0 to 9.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, one_hot, pixel_shuffle, pixel_unshuffle

from gan.config import RunConfig

CLASSES = 10
PIXELS = 28 * 28
SLOPE = 0.2  # of every leaky ReLU, as in the document and in DCGAN
DROPOUT = 0.3
_SIXTEEN_BITS = 1 << 16

# Initialisers draw from torch's global generator; a second thread building networks would disturb the first.
_global_generator = threading.Lock()


class MlpGenerator(nn.Module):
    """latent-256-512-1024-784, leaky ReLU, tanh. A label enters as a one-hot vector beside the latent."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        inputs = config.latent_dim + CLASSES * config.conditional
        self.fc1 = nn.Linear(inputs, 256)
        self.fc2 = nn.Linear(256, 512)
        self.fc3 = nn.Linear(512, 1024)
        self.fc4 = nn.Linear(1024, PIXELS)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = _with_label(latents, labels)
        for layer in (self.fc1, self.fc2, self.fc3):
            x = leaky_relu(layer(x), SLOPE)
        return torch.tanh(self.fc4(x)).view(-1, 1, 28, 28)


class Discriminator(nn.Module):
    """What the trainer relies on beside `forward`."""

    # Batch norm sees real and fake in separate batches, so one pass over both would change its statistics.
    separate_passes = False

    def draw_masks(self, count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Dropout masks for one forward pass over `count` images; none for networks without dropout."""
        return ()

    def forward(self, images: Tensor, labels: Tensor | None = None, masks: tuple[Tensor, ...] = ()) -> Tensor:
        raise TypeError("a discriminator defines forward")


class MlpDiscriminator(Discriminator):
    """784-1024-512-256-1, leaky ReLU, dropout after each. Without masks nothing is dropped."""

    WIDTHS = (1024, 512, 256)

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(PIXELS + CLASSES * config.conditional, 1024)
        self.fc2 = nn.Linear(1024, 512)
        self.fc3 = nn.Linear(512, 256)
        self.fc4 = nn.Linear(256, 1)

    def draw_masks(self, count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Three boolean masks (count, width), True with probability 1 - DROPOUT (to 1/65536).

        Compared from 16 random bits each: seven times as fast as `bernoulli_` with a generator on a CPU.
        """
        total = count * sum(self.WIDTHS)
        words = torch.empty(-(-total // 4), dtype=torch.int64, device=rng.device)
        bits = words.random_(-(2**63), None, generator=rng).view(torch.int16)
        threshold = round(DROPOUT * _SIXTEEN_BITS) - _SIXTEEN_BITS // 2
        keep = bits[:total] >= threshold
        return tuple(
            part.view(count, width)
            for part, width in zip(keep.split([count * w for w in self.WIDTHS]), self.WIDTHS, strict=True)
        )

    def forward(self, images: Tensor, labels: Tensor | None = None, masks: tuple[Tensor, ...] = ()) -> Tensor:
        x = _with_label(images.flatten(1), labels)
        for index, layer in enumerate((self.fc1, self.fc2, self.fc3)):
            x = leaky_relu(layer(x), SLOPE)
            if masks:
                x = x * (masks[index].to(x.dtype) / (1 - DROPOUT))
        logits: Tensor = self.fc4(x).flatten()
        return logits


class ConvGenerator(nn.Module):
    """Linear to 7x7, then two transposed convolutions with batch norm, after DCGAN (Radford et al. 2015)."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        inputs = config.latent_dim + CLASSES * config.conditional
        self.project = nn.Linear(inputs, 128 * 7 * 7, bias=False)
        self.norm1 = nn.BatchNorm2d(128)
        self.up1 = nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(64)
        self.up2 = nn.ConvTranspose2d(64, 1, 4, 2, 1)
        self.apply(_dcgan_init)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.project(_with_label(latents, labels)).view(-1, 128, 7, 7)
        x = torch.relu(self.norm1(x))
        x = torch.relu(self.norm2(self.up1(x)))
        return torch.tanh(self.up2(x))


class ConvDiscriminator(Discriminator):
    """Two strided convolutions and a linear layer; labels enter by projection (Miyato and Koyama 2018)."""

    separate_passes = True

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, 64, 4, 2, 1)
        self.down2 = nn.Conv2d(64, 128, 4, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(128)
        self.out = nn.Linear(128 * 7 * 7, 1)
        self.embed = _label_embedding(config, 128 * 7 * 7)
        self.apply(_dcgan_init)

    def forward(self, images: Tensor, labels: Tensor | None = None, masks: tuple[Tensor, ...] = ()) -> Tensor:
        x = leaky_relu(self.down1(images), SLOPE)
        x = leaky_relu(self.norm2(self.down2(x)), SLOPE).flatten(1)
        return _projected(self.out(x), x, labels, self.embed)


class FastGenerator(nn.Module):
    """Everything at 7x7: linear, two 3x3 convolutions with batch norm; 16 channels become 4x4 pixels.

    That pixel shuffle (Shi et al. 2016) costs nothing, so nearly all arithmetic is in convolutions that a CPU
    does well. Wider networks learned less in the same time (docs/performance.md).
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.width = width = config.width
        self.project = nn.Linear(config.latent_dim + CLASSES * config.conditional, width * 7 * 7, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 16, 3, padding=1)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.project(_with_label(latents, labels)).view(-1, self.width, 7, 7)
        x = leaky_relu(self.norm1(x), SLOPE)
        x = leaky_relu(self.norm2(self.conv1(x)), SLOPE)
        return torch.tanh(pixel_shuffle(self.conv2(x), 4))


class FastDiscriminator(Discriminator):
    """The mirror image: pixel unshuffle to 7x7, two 3x3 convolutions, linear; labels enter by projection."""

    separate_passes = True

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        width = config.width
        self.conv1 = nn.Conv2d(16, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.out = nn.Linear(2 * width * 7 * 7, 1)
        self.embed = _label_embedding(config, 2 * width * 7 * 7)

    def forward(self, images: Tensor, labels: Tensor | None = None, masks: tuple[Tensor, ...] = ()) -> Tensor:
        x = leaky_relu(self.conv1(pixel_unshuffle(images, 4)), SLOPE)
        x = leaky_relu(self.norm2(self.conv2(x)), SLOPE).flatten(1)
        return _projected(self.out(x), x, labels, self.embed)


_NETWORKS: dict[str, tuple[type[nn.Module], type[Discriminator]]] = {
    "mlp": (MlpGenerator, MlpDiscriminator),
    "dcgan": (ConvGenerator, ConvDiscriminator),
    "fast": (FastGenerator, FastDiscriminator),
}


@contextmanager
def without_global_randomness() -> Iterator[None]:
    """Networks may be initialised in here: the global generator is put back; one thread at a time."""
    with _global_generator, torch.random.fork_rng(devices=[]):
        yield


def build_networks(config: RunConfig) -> tuple[nn.Module, Discriminator]:
    """Freshly initialised G and D, drawn from `config.seed` without touching the global generators."""
    with without_global_randomness():
        torch.manual_seed(config.seed)
        generator, discriminator = _NETWORKS[config.network]
        return generator(config), discriminator(config)


def _label_embedding(config: RunConfig, features: int) -> nn.Embedding | None:
    """A vector for each class to project features on."""
    if not config.conditional:
        return None
    embedding = nn.Embedding(CLASSES, features)
    nn.init.normal_(embedding.weight, 0.0, 0.02)
    return embedding


def _projected(logits: Tensor, features: Tensor, labels: Tensor | None, embed: nn.Embedding | None) -> Tensor:
    """Logits (N, 1) as (N,), plus how well features (N, F) fit the labels (Miyato and Koyama 2018)."""
    flat = logits.flatten()
    if embed is not None and labels is not None:
        flat = flat + (embed(labels) * features).sum(1)
    return flat


def _with_label(x: Tensor, labels: Tensor | None) -> Tensor:
    if labels is None:
        return x
    return torch.cat([x, one_hot(labels, CLASSES).to(x.dtype)], dim=1)


def _dcgan_init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
