import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gan.config import Choice, allowed_values
from gan.losses import (
    LOSSES,
    discriminator_bce,
    discriminator_hinge,
    discriminator_lsgan,
    discriminator_wgan,
    generator_critic,
    generator_lsgan,
    generator_minimax,
    generator_non_saturating,
    gradient_penalty,
    r1_penalty,
)

with_logits = nn.BCEWithLogitsLoss()
LOGITS = st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=20).map(torch.tensor)
MODEST = st.lists(st.floats(-15, 15), min_size=1, max_size=20).map(
    lambda x: torch.tensor(x, dtype=torch.float64)
)


def value_and_gradient(loss, logits):
    logits = logits.clone().requires_grad_()
    value = loss(logits)
    value.backward()
    return value.detach(), logits.grad


def assert_same(ours, theirs, logits):
    for mine, plain in zip(value_and_gradient(ours, logits), value_and_gradient(theirs, logits), strict=True):
        torch.testing.assert_close(mine, plain)


@given(LOGITS, LOGITS)
def test_the_discriminator_loss_is_pytorchs_cross_entropy_with_ones_and_zeros(real, fake):
    def plain(real, fake):
        return with_logits(real, torch.ones_like(real)) + with_logits(fake, torch.zeros_like(fake))

    assert_same(lambda x: discriminator_bce(x, fake), lambda x: plain(x, fake), real)
    assert_same(lambda x: discriminator_bce(real, x), lambda x: plain(real, x), fake)


@given(LOGITS)
def test_the_non_saturating_loss_is_pytorchs_cross_entropy_with_ones(fake):
    assert_same(generator_non_saturating, lambda x: with_logits(x, torch.ones_like(x)), fake)


@given(LOGITS)
def test_the_minimax_loss_is_minus_pytorchs_cross_entropy_with_zeros(fake):
    assert_same(generator_minimax, lambda x: -with_logits(x, torch.zeros_like(x)), fake)


@given(MODEST, MODEST)
def test_the_losses_are_the_formulas_of_the_paper(real, fake):
    d_real, d_fake = 1 / (1 + torch.exp(-real)), 1 / (1 + torch.exp(-fake))
    wanted_by_d = -d_real.log().mean() - (1 - d_fake).log().mean()
    torch.testing.assert_close(discriminator_bce(real, fake), wanted_by_d)
    torch.testing.assert_close(generator_non_saturating(fake), -d_fake.log().mean())
    torch.testing.assert_close(generator_minimax(fake), (1 - d_fake).log().mean())


def test_the_losses_stay_finite_where_the_formulas_do_not():
    extreme = torch.tensor([-1e4, 1e4])
    for loss in (generator_non_saturating, generator_minimax, lambda x: discriminator_bce(x, x)):
        value, gradient = value_and_gradient(loss, extreme)
        assert value.isfinite()
        assert gradient.isfinite().all()


def test_only_the_non_saturating_loss_still_moves_a_generator_that_is_always_found_out():
    rejected = torch.full((4,), -20.0)
    assert value_and_gradient(generator_non_saturating, rejected)[1].sum().item() == pytest.approx(-1)
    assert abs(value_and_gradient(generator_minimax, rejected)[1].sum().item()) < 1e-8


def test_every_loss_of_the_settings_is_there_and_the_first_paper_has_its_two() -> None:
    allowed = allowed_values("loss")
    assert isinstance(allowed, Choice)
    assert LOSSES.keys() == set(allowed.options)
    assert LOSSES["non-saturating"][:2] == (discriminator_bce, generator_non_saturating)
    assert LOSSES["minimax"][:2] == (discriminator_bce, generator_minimax)


@given(MODEST, st.floats(0, 0.5))
def test_a_smoothed_label_is_pytorchs_cross_entropy_with_that_label(real, smoothing):
    expected = with_logits(real, torch.full_like(real, 1 - smoothing))
    nothing = torch.full_like(real, -1e4)  # fakes that D is sure of cost nothing
    torch.testing.assert_close(discriminator_bce(real, nothing, smoothing), expected)


@given(MODEST, MODEST, st.floats(0, 0.5))
def test_lsgan_is_half_the_squared_error(real, fake, smoothing):
    squared = nn.MSELoss()
    expected = squared(real, torch.full_like(real, 1 - smoothing)) + squared(fake, torch.zeros_like(fake))
    torch.testing.assert_close(discriminator_lsgan(real, fake, smoothing), expected / 2)
    torch.testing.assert_close(generator_lsgan(fake), squared(fake, torch.ones_like(fake)) / 2)


@given(MODEST, MODEST)
def test_hinge_counts_only_what_is_inside_the_margins(real, fake):
    expected = sum(max(0, 1 - x) for x in real.tolist()) / len(real)
    expected += sum(max(0, 1 + x) for x in fake.tolist()) / len(fake)
    torch.testing.assert_close(float(discriminator_hinge(real, fake)), expected)


@given(MODEST, MODEST)
def test_wgan_is_a_difference_of_means(real, fake):
    expected = sum(fake.tolist()) / len(fake) - sum(real.tolist()) / len(real)
    torch.testing.assert_close(float(discriminator_wgan(real, fake)), expected)
    torch.testing.assert_close(generator_critic(fake), -fake.mean())


def test_gradient_penalties_of_critics_whose_gradients_are_known():
    slope = torch.tensor([3.0, 4.0]).view(1, 1, 1, 2)
    images = torch.randn(5, 1, 1, 2, requires_grad=True)
    torch.testing.assert_close(
        gradient_penalty((slope * images).flatten(1).sum(1), images), torch.tensor(16.0)
    )
    torch.testing.assert_close(r1_penalty((slope * images).flatten(1).sum(1), images), torch.tensor(12.5))
    halves = images.square().flatten(1).sum(1) / 2  # its gradient is the image
    torch.testing.assert_close(r1_penalty(halves, images), images.square().flatten(1).sum(1).mean() / 2)


def test_a_gradient_penalty_teaches_the_critic():
    weight = torch.tensor([[3.0, 4.0]], requires_grad=True)
    images = torch.randn(5, 2, requires_grad=True)
    gradient_penalty((images * weight).sum(1), images).backward()
    torch.testing.assert_close(weight.grad, 2 * (5 - 1) * weight.detach() / 5)
