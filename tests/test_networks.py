from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch

from gan.config import RECIPES, recipe
from gan.networks import MlpDiscriminator, build_networks


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def labels_for(config, count):
    return torch.arange(count) % 10 if config.conditional else None


def test_classic_has_as_many_parameters_as_the_networks_of_the_document():
    generator, discriminator = build_networks(recipe("classic"))
    assert size(generator) == 1_486_352
    assert size(discriminator) == 1_460_225


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("network", ["fast", "mlp", "dcgan"])
@pytest.mark.parametrize("latent_dim", [1, 100])
def test_latents_become_images_and_images_become_logits(network, conditional, latent_dim):
    config = recipe("dcgan").with_changes(network=network, conditional=conditional, latent_dim=latent_dim)
    generator, discriminator = build_networks(config)
    labels = labels_for(config, 12)
    images = generator(100 * torch.randn(12, latent_dim), labels)
    assert images.shape == (12, 1, 28, 28)
    assert images.abs().max() <= 1
    assert images.std() > 0.1
    logits = discriminator(1000 * images, labels)
    assert logits.shape == (12,)
    assert logits.min() < 0 or logits.max() > 1  # logits, not probabilities


@pytest.mark.parametrize("network", ["fast", "mlp", "dcgan"])
def test_a_label_changes_the_picture_and_its_logit(network):
    generator, discriminator = build_networks(recipe("conditional").with_changes(network=network))
    latents = torch.randn(1, 64).expand(10, 64)
    images = generator.eval()(latents, torch.arange(10))
    assert len(images.flatten(1).unique(dim=0)) == 10
    same_image = images[:1].expand(10, -1, -1, -1)
    assert len(discriminator.eval()(same_image, torch.arange(10)).unique()) == 10


@pytest.mark.parametrize("name", RECIPES)
def test_the_seed_decides_the_weights(name):
    config = recipe(name)
    first, again = build_networks(config), build_networks(config)
    other = build_networks(config.with_changes(seed=1))
    for part in (0, 1):
        assert same(first[part], again[part])
        assert not same(first[part], other[part])


@pytest.mark.parametrize("name", RECIPES)
def test_building_networks_leaves_the_global_generator_alone(name):
    before = torch.get_rng_state()
    build_networks(recipe(name))
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_built_in_many_threads_at_once_are_those_of_their_seeds():
    configs = [recipe("dcgan").with_changes(seed=seed) for seed in range(12)]
    alone = [build_networks(config) for config in configs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(build_networks, configs))
    for one, other in zip(alone, together, strict=True):
        assert same(one[0], other[0])
        assert same(one[1], other[1])


# -- dropout -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classic_d() -> MlpDiscriminator:
    return build_networks(recipe("classic"))[1]


def draw(discriminator, seed, count=256):
    return discriminator.draw_masks(count, torch.Generator().manual_seed(seed))


def test_dropout_keeps_seventy_percent_in_every_layer(classic_d):
    masks = draw(classic_d, seed=0)
    assert [tuple(mask.shape) for mask in masks] == [(256, 1024), (256, 512), (256, 256)]
    for mask in masks:
        assert mask.dtype == torch.bool
        deviation = (0.7 * 0.3 / mask.numel()) ** 0.5
        assert mask.float().mean().item() == pytest.approx(0.7, abs=5 * deviation)


def test_dropout_drops_each_unit_and_each_image_alike(classic_d):
    for mask in draw(classic_d, seed=0, count=1000):
        for dim in (0, 1):
            means = mask.float().mean(dim)
            deviation = (0.7 * 0.3 / mask.shape[dim]) ** 0.5
            assert (means - 0.7).abs().max().item() < 6 * deviation


def test_what_is_dropped_says_nothing_about_its_neighbours(classic_d):
    bits = draw(classic_d, seed=0)[0].flatten().float() - 0.7
    for distance in (1, 2, 3, 4, 1024):
        correlation = (bits[distance:] * bits[:-distance]).mean().item() / 0.21
        assert abs(correlation) < 5 / len(bits) ** 0.5


def test_each_seed_draws_its_own_masks_and_draws_them_again(classic_d):
    drawn = [torch.cat([mask.flatten() for mask in draw(classic_d, seed)]) for seed in range(4)]
    assert torch.equal(drawn[0], torch.cat([mask.flatten() for mask in draw(classic_d, 0)]))
    for one, other in pairwise(drawn):
        assert (one == other).float().mean().item() == pytest.approx(0.7**2 + 0.3**2, abs=0.01)


@pytest.mark.parametrize("training", [True, False])
def test_without_masks_nothing_is_dropped(classic_d, training):
    images = torch.rand(16, 1, 28, 28)
    classic_d.train(training)
    first = classic_d(images)
    assert torch.equal(first, classic_d(images))
    assert not torch.allclose(first, classic_d(images, None, draw(classic_d, 0, 16)), atol=1e-4)
    classic_d.train()


def test_dropout_leaves_the_expected_logit_as_it_is():
    discriminator = build_networks(recipe("classic"))[1]
    images = torch.rand(1, 1, 28, 28)
    with torch.no_grad():
        # With positive numbers only, leaky ReLU is the identity, D is linear, and masks average out.
        for parameter in discriminator.parameters():
            parameter.abs_()
        whole = discriminator(images)
        dropped = discriminator(images.expand(2000, -1, -1, -1), None, draw(discriminator, 5, 2000))
    assert dropped.std() > 0
    error = dropped.std().item() / 2000**0.5
    assert dropped.mean().item() == pytest.approx(whole.item(), abs=5 * error)


def test_the_convolutional_discriminator_has_no_dropout():
    discriminator = build_networks(recipe("dcgan"))[1]
    assert draw(discriminator, 0) == ()
