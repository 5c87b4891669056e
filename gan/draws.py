"""The random part of every step, as a function of the run's seed and the step's number alone.

Nothing random has to be stored to resume exactly, sampling beside the training changes nothing, and a run
that moves to another device goes on with its own order of digits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan.config import RunConfig
from gan.networks import CLASSES, Discriminator


@dataclass(frozen=True)
class Draws:
    """The random part of one step: positions in the dataset, latents, labels of the fakes, dropout masks.

    `mix` are the shares of a real digit in the points between real and fake where WGAN-GP measures gradients.
    """

    real: Tensor
    latents_d: Tensor
    latents_g: Tensor
    labels_d: Tensor | None
    labels_g: Tensor | None
    masks_d: tuple[Tensor, ...]
    masks_g: tuple[Tensor, ...]
    mix: Tensor


class Drawer:
    """Draws for any step of a run over `dataset_size` digits; an epoch visits each at most once."""

    def __init__(self, config: RunConfig, dataset_size: int, device: torch.device) -> None:
        self._config = config
        self._size = dataset_size
        self._device = device
        self._rng = torch.Generator(device)
        self._order_epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the dataset; the last short one is dropped."""
        return self._size // self._config.batch_size

    def draw(self, step: int, discriminator: Discriminator) -> Draws:
        """What step number `step` needs, counted from 0; the discriminator says which masks it takes."""
        config, count, device = self._config, self._config.batch_size, self._device
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._order_epoch:
            order_rng = torch.Generator().manual_seed(_mix(config.seed, epoch, stream=1))
            self._order = torch.randperm(self._size, generator=order_rng).to(device)
            self._order_epoch = epoch
        rng = self._rng.manual_seed(_mix(config.seed, step, stream=2))

        def latents() -> Tensor:
            return torch.randn(count, config.latent_dim, generator=rng, device=device)

        def labels() -> Tensor | None:
            if not config.conditional:
                return None
            return torch.randint(CLASSES, (count,), generator=rng, device=device)

        return Draws(
            real=self._order[position * count : (position + 1) * count],
            latents_d=latents(),
            latents_g=latents(),
            labels_d=labels(),
            labels_g=labels(),
            masks_d=discriminator.draw_masks(2 * count, rng),
            masks_g=discriminator.draw_masks(count, rng),
            mix=torch.rand(count, 1, 1, 1, generator=rng, device=device),
        )


def _mix(seed: int, index: int, stream: int) -> int:
    """A well-spread 64-bit seed for step or epoch `index`: one round of SplitMix64 (Steele et al. 2014)."""
    mask = 2**64 - 1
    value = (seed * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9 + stream * 0x94D049BB133111EB) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return value ^ (value >> 31)
