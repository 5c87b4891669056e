"""The GAN losses as pure functions of D's logits, shape (N,) each, returning a scalar.

D(x) = sigmoid(logit) where a loss is about probabilities; LSGAN and WGAN use D's output as it is.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus


def discriminator_bce(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """-mean log D(x) - mean log(1 - D(G(z))): Goodfellow et al. 2014, equation 1 with its sign turned.

    `smoothing` is one-sided: real digits get the label 1 - smoothing (Salimans et al. 2016, section 3.4).
    """
    on_real = softplus(-real).mean()
    if smoothing:
        on_real = (1 - smoothing) * on_real + smoothing * softplus(real).mean()
    return on_real + softplus(fake).mean()


def generator_non_saturating(fake: Tensor) -> Tensor:
    """-mean log D(G(z)): Goodfellow et al. 2014, section 3; its gradient stays strong while D rejects all."""
    return softplus(-fake).mean()


def generator_minimax(fake: Tensor) -> Tensor:
    """mean log(1 - D(G(z))): what equation 1 of Goodfellow et al. 2014 literally asks of G."""
    return -softplus(fake).mean()


def discriminator_lsgan(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """mean (D(x) - b)^2 / 2 + mean D(G(z))^2 / 2 with b = 1 - smoothing: Mao et al. 2017, equation 9."""
    return ((real - (1 - smoothing)).square().mean() + fake.square().mean()) / 2


def generator_lsgan(fake: Tensor) -> Tensor:
    """mean (D(G(z)) - 1)^2 / 2: Mao et al. 2017, equation 9."""
    return (fake - 1).square().mean() / 2


def discriminator_hinge(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """mean max(0, b - D(x)) + mean max(0, 1 + D(G(z))) with b = 1 - smoothing: Miyato et al. 2018, eq. 16."""
    return relu(1 - smoothing - real).mean() + relu(1 + fake).mean()


def discriminator_wgan(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """mean D(G(z)) - mean D(x): Arjovsky et al. 2017, equation 2 with its sign turned; nothing to smooth."""
    del smoothing
    return fake.mean() - real.mean()


def generator_critic(fake: Tensor) -> Tensor:
    """-mean D(G(z)): G's part of the hinge loss and of WGAN."""
    return -fake.mean()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """mean (|grad D| - 1)^2 at `images` (N, ...), which gave `logits` (N,): Gulrajani et al. 2017, eq. 3."""
    steepness = _gradients(logits, images).square().sum(dim=1).add(1e-12).sqrt()
    return (steepness - 1).square().mean()


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """mean |grad D|^2 / 2 at real `images` (N, ...): R1 of Mescheder et al. 2018, eq. 9, without gamma."""
    return _gradients(logits, images).square().sum(dim=1).mean() / 2


def _gradients(logits: Tensor, images: Tensor) -> Tensor:
    """Gradients of each logit by its own image, (N, pixels), that can be differentiated again."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.flatten(1)


class Loss(NamedTuple):
    """Both sides of a GAN loss, and the weight of the gradient penalty between real and fake (WGAN-GP)."""

    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    generator: Callable[[Tensor], Tensor]
    penalty: float = 0.0


LOSSES = {
    "non-saturating": Loss(discriminator_bce, generator_non_saturating),
    "minimax": Loss(discriminator_bce, generator_minimax),
    "lsgan": Loss(discriminator_lsgan, generator_lsgan),
    "hinge": Loss(discriminator_hinge, generator_critic),
    "wgan-gp": Loss(discriminator_wgan, generator_critic, penalty=10.0),
}
