"""The judge on answers that are known, and its formulas against other people's."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from gan.config import recipe
from gan.data import load_digits
from gan.errors import DataError
from gan.judge import neighbours, network, report
from gan.judge.metrics import (
    Gaussian,
    class_shares,
    confidence,
    coverage,
    distance_noise,
    frechet_distance,
    nearest,
    precision_and_recall,
)
from gan.judge.network import judge, load_network
from gan.judge.parzen import SIGMAS, parzen_likelihood
from gan.networks import build_networks
from gan.sampling import Networks

CHANCE = np.random.default_rng(0)


@pytest.fixture(scope="module")
def train():
    return load_digits("mnist", Path(), train=True).images.numpy()


@pytest.fixture(scope="module")
def test_set():
    return load_digits("mnist", Path(), train=False)


def features_like(count, size=16, seed=0):
    chance = np.random.default_rng(seed)
    return (chance.standard_normal((count, size)) @ chance.standard_normal((size, size))).astype(np.float32)


# -- formulas ------------------------------------------------------------------------------------------------


def test_the_frechet_distance_is_the_one_of_scipys_matrix_root():
    first, second = Gaussian.of(features_like(500)), Gaussian.of(features_like(400, seed=1) + 0.5)
    root = scipy.linalg.sqrtm(first.covariance @ second.covariance).real
    expected = ((first.mean - second.mean) ** 2).sum()
    expected += np.trace(first.covariance + second.covariance - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)


def test_the_noise_is_the_spread_of_the_distance_over_fresh_samples():
    reference = Gaussian.of(features_like(20_000))
    distances = [
        frechet_distance(Gaussian.of(rows + 1), reference) for rows in np.split(features_like(20_000), 40)
    ]
    noise = np.mean(
        [distance_noise(features_like(20_000)[:500] + 1, reference, 30, seed) for seed in range(4)]
    )
    assert noise == pytest.approx(np.std(distances), rel=0.5)


def test_precision_and_recall_are_those_of_a_plain_count():
    real, generated = features_like(60, 4), features_like(50, 4, seed=1)

    def inside(points, members):
        found = 0
        for point in points:
            for member in members:
                radius = sorted(np.linalg.norm(members - member, axis=1))[3]
                if np.linalg.norm(point - member) <= radius:
                    found += 1
                    break
        return found / len(points)

    expected = (inside(generated, real), inside(real, generated))
    assert precision_and_recall(real, generated) == pytest.approx(expected)


def test_the_likelihood_is_that_of_a_plain_mixture():
    images = CHANCE.integers(0, 256, (30, 28, 28), dtype=np.uint8)
    near = np.clip(images.astype(int) + CHANCE.integers(-40, 41, images.shape), 0, 255).astype(np.uint8)
    found = parzen_likelihood(images, near[:10], near[10:])
    centres, points = (x.reshape(len(x), -1) / 255 for x in (images, near[10:]))

    def likelihood(sigma):
        exponents = -((points[:, None] - centres[None]) ** 2).sum(-1) / (2 * sigma**2)
        peak = exponents.max(axis=1, keepdims=True)
        density = peak[:, 0] + np.log(np.exp(exponents - peak).mean(axis=1))
        return density - 784 / 2 * math.log(2 * math.pi * sigma**2)

    values = likelihood(found.sigma)
    assert found.mean == pytest.approx(values.mean(), rel=1e-4)
    assert found.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(20), rel=1e-3)
    assert found.sigma in SIGMAS


def test_nearest_finds_each_row_itself_first():
    gallery = features_like(40)
    positions, distances = nearest(gallery[[7, 3]], torch.from_numpy(gallery), 5)
    assert positions[:, 0].tolist() == [7, 3]
    assert (np.diff(distances) >= 0).all()


@pytest.mark.parametrize(
    "near", [neighbours.in_pixels, pytest.param(neighbours.in_features, marks=pytest.mark.long)]
)
def test_a_copy_of_a_training_digit_is_found_out(near):
    digit = report.real_digits(train=True)[4321]
    copy = near(digit)
    assert (copy.images[0] == digit).all()
    assert copy.images.shape == (neighbours.COUNT, 28, 28)
    assert copy.distance < 0.02 * copy.usual
    unseen = near(report.real_digits(train=False)[300])
    assert 0.3 * unseen.usual < unseen.distance < 3 * unseen.usual
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    assert near(noise).distance > 1.5 * unseen.usual


def test_pixels_range_from_0_to_1_in_distances():
    black = np.zeros((28, 28), np.uint8)
    found = neighbours.in_pixels(black)
    ink = found.images[0].astype(float) / 255
    assert found.distance == pytest.approx(np.sqrt((ink**2).sum()), rel=1e-3)


def test_coverage_counts_classes_with_a_fair_part():
    shares = class_shares(np.eye(10, dtype=np.float32)[[0] * 50 + [1] * 49 + [2]])
    assert shares[:3] == pytest.approx([0.5, 0.49, 0.01])
    assert coverage(shares) == 2


# -- known answers -------------------------------------------------------------------------------------------


def test_the_judge_reads_the_test_set(test_set):
    _, probabilities = judge(test_set.images.numpy())
    assert (probabilities.argmax(axis=1) == test_set.labels.numpy()).mean() >= 0.992


def test_real_digits_get_the_floor_and_all_good_marks(train):
    found = report.evaluate_images(train[-10_000:])
    assert found.floor < 0.2
    assert found.distance < 3 * found.floor
    assert found.coverage == 10
    assert found.confidence > 0.9
    assert min(found.precision, found.recall) > 0.7
    assert found.parzen == pytest.approx(240, abs=8)


def test_noise_one_repeated_digit_and_permuted_pixels_are_found_out(train):
    real = train[:2000]
    order = np.random.default_rng(1).permutation(784)
    permuted = real.reshape(-1, 784)[:, order].reshape(-1, 28, 28)
    noise = CHANCE.integers(0, 256, real.shape, dtype=np.uint8)
    reference = Gaussian.of(judge(train[-10_000:])[0])

    def distance(images):
        return frechet_distance(Gaussian.of(judge(images)[0]), reference)

    assert distance(real) < 0.5
    assert min(distance(noise), distance(permuted), distance(real[:1].repeat(2000, axis=0))) > 50
    repeated = judge(real[:1].repeat(100, axis=0))[1]
    assert coverage(class_shares(repeated)) == 1
    assert confidence(repeated) > 0.8


def test_a_look_at_an_untrained_generator_is_far_from_its_floor():
    config = recipe("fast")
    generator, discriminator = build_networks(config)
    seen = report.look(Networks("x", "mnist", 64, False, generator.eval(), None, discriminator.eval()))
    assert seen.distance > 100 * report.floor(report.LOOK_COUNT)
    assert seen.noise > 0
    assert sum(seen.shares) == pytest.approx(1)


def test_judging_touches_no_global_randomness(train):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load_network.cache_clear()
    judge(train[:10])
    assert torch.equal(torch.get_rng_state(), before)


def test_damaged_weights_are_noticed(tmp_path, monkeypatch):
    content = bytearray(network.WEIGHTS.read_bytes())
    assert hashlib.sha256(content).hexdigest() == network.WEIGHTS_SHA256
    assert len(content) < 2_000_000
    content[-1] ^= 1
    damaged = tmp_path / "judge.safetensors"
    damaged.write_bytes(content)
    monkeypatch.setattr(network, "WEIGHTS", damaged)
    load_network.cache_clear()
    with pytest.raises(DataError, match=r"judge\.safetensors is damaged"):
        load_network()
    monkeypatch.undo()
    load_network.cache_clear()
