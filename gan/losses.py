"""The GAN losses as pure functions of D's logits, shape (N,) each, returning a scalar.

D(x) = sigmoid(logit). All follow Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import softplus


def discriminator_bce(real: Tensor, fake: Tensor) -> Tensor:
    """-mean log D(x) - mean log(1 - D(G(z))), equation 1 with its sign turned."""
    return softplus(-real).mean() + softplus(fake).mean()


def generator_non_saturating(fake: Tensor) -> Tensor:
    """-mean log D(G(z)): section 3's variant, whose gradient stays strong while D rejects every fake."""
    return softplus(-fake).mean()


def generator_minimax(fake: Tensor) -> Tensor:
    """mean log(1 - D(G(z))): what equation 1 literally asks of G."""
    return -softplus(fake).mean()


def generator_loss(name: str) -> Callable[[Tensor], Tensor]:
    """The loss that `RunConfig.loss` names."""
    return generator_minimax if name == "minimax" else generator_non_saturating
