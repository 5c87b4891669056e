import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gan.losses import discriminator_bce, generator_loss, generator_minimax, generator_non_saturating

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


def test_each_name_stands_for_its_loss():
    assert generator_loss("non-saturating") is generator_non_saturating
    assert generator_loss("minimax") is generator_minimax
