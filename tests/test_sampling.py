import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from gan import sampling
from gan.config import RECIPES, recipe
from gan.errors import ConfigError, GanError, RunError
from gan.networks import build_networks
from gan.sampling import BATCH, MOST_DIGITS, SEEDS, Networks, SampleRequest, latents, sample, scores, to_bytes

WHOLE_SEEDS = st.integers(0, 2**32 - 2)


def networks_of(name, **changes):
    config = recipe(name).with_changes(**changes)
    generator, discriminator = (network.eval() for network in build_networks(config))
    ema = build_networks(config.with_changes(seed=99))[0].eval() if config.ema else None
    return Networks(
        "run", config.dataset, config.latent_dim, config.conditional, generator, ema, discriminator
    )


class Echo(nn.Module):
    """A generator whose picture is its latent, and whose last pixel is its label."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, rows, labels=None):
        pixels = rows * self.scale
        if labels is not None:
            assert labels.dtype == torch.int64  # as one_hot and embeddings need it
            pixels = torch.cat([pixels[:, :-1], labels[:, None] / 127.5 - 1], dim=1)
        return pixels.view(-1, 1, 28, 28)


def echo(conditional=False):
    return Networks("run", "mnist", 784, conditional, Echo(), None, nn.Identity())


# -- latents -------------------------------------------------------------------------------------------------


def test_latents_are_standard_normal():
    rows = latents(5, 2000, 64).double()
    assert rows.shape == (2000, 64)
    assert rows.mean().item() == pytest.approx(0, abs=0.02)
    assert rows.std().item() == pytest.approx(1, abs=0.02)
    assert (rows**4).mean().item() == pytest.approx(3, abs=0.1)
    assert (rows[:-1] * rows[1:]).mean().item() == pytest.approx(0, abs=0.02)


def test_latents_are_numpys_philox_so_that_every_machine_draws_the_same():
    expected = np.random.Generator(np.random.Philox(key=7)).standard_normal((3, 64)).astype(np.float32)
    assert np.array_equal(latents(7, 3, 64).numpy(), expected)


@pytest.mark.parametrize("seed", [0, 3, 3.5, 2**32 - 1, 2**32 - 1.5])
@pytest.mark.parametrize("count", [1, 7, BATCH, BATCH + 1, 2 * BATCH + 3])
def test_a_row_does_not_depend_on_how_many_are_drawn(seed, count):
    longest = latents(seed, 2 * BATCH + 10, 8)
    rows = latents(seed, count, 8)
    assert rows.shape == (count, 8)
    assert rows.isfinite().all()
    assert torch.equal(rows, longest[:count])


def angle_between(first, second):
    return np.arccos((first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1))


@pytest.mark.parametrize("latent_dim", [2, 3, 64])
def test_half_a_seed_is_the_middle_of_the_arc(latent_dim):
    first, middle, second = (latents(seed, 1000, latent_dim).double().numpy() for seed in (3, 3.5, 4))
    half = angle_between(first, second) / 2
    # Halfway from both ends, and so on the shortest arc between them. Near 0, acos of float32 is coarse.
    assert angle_between(first, middle) == pytest.approx(half, abs=1e-3)
    assert angle_between(middle, second) == pytest.approx(half, abs=1e-3)
    # As long as its ends, where the middle of a straight line would be 30 % shorter.
    lengths = (np.linalg.norm(first, axis=1) + np.linalg.norm(second, axis=1)) / 2
    assert np.linalg.norm(middle, axis=1) == pytest.approx(lengths, rel=1e-5)


@given(WHOLE_SEEDS, st.floats(0.001, 0.999), st.sampled_from([2, 64]))
def test_between_two_seeds_directions_turn_and_lengths_change_evenly(seed, fraction, latent_dim):
    between = seed + fraction
    fraction = between - seed  # what is left of it beside a large seed
    assume(0 < fraction < 1)
    first, row, second = (latents(s, 5, latent_dim).double().numpy() for s in (seed, between, seed + 1))
    angle = angle_between(first, second)
    assert angle_between(first, row) == pytest.approx(fraction * angle, abs=1e-3)
    assert angle_between(row, second) == pytest.approx((1 - fraction) * angle, abs=1e-3)
    start, length, end = (np.linalg.norm(rows, axis=1) for rows in (first, row, second))
    assert length == pytest.approx((1 - fraction) * start + fraction * end, rel=1e-5)


@given(st.integers(1, 2**20), st.sampled_from([1, 2, 3, 64]))
def test_the_walk_passes_through_whole_seeds_without_a_jump(seed, latent_dim):
    there = latents(seed, 4, latent_dim)
    for near in (seed - 1e-6, seed + 1e-6):
        assert near != seed
        torch.testing.assert_close(latents(near, 4, latent_dim), there, rtol=0, atol=1e-3)


def test_one_dimensional_latents_walk_straight():
    first, middle, second = (latents(seed, 200, 1) for seed in (3, 3.5, 4))
    torch.testing.assert_close(middle, (first + second) / 2)
    assert ((first > 0) != (second > 0)).any()


# -- tables --------------------------------------------------------------------------------------------------


def test_a_table_gives_every_latent_all_ten_labels():
    networks = networks_of("conditional")
    table = sample(networks, SampleRequest(seed=2.5, count=30, table=True)).astype(int)
    for digit in range(10):
        column = sample(networks, SampleRequest(seed=2.5, count=3, digit=digit)).astype(int)
        assert np.abs(table[digit::10] - column).max() <= 1
    assert len(np.unique(table.reshape(30, -1), axis=0)) == 30


def test_a_table_goes_on_behind_a_whole_batch():
    networks = networks_of("conditional")
    table = sample(networks, SampleRequest(count=10 * BATCH + 25, table=True)).astype(int)
    assert len(table) == 10 * BATCH + 25
    last = sample(networks, SampleRequest(count=BATCH + 3, digit=4)).astype(int)
    assert np.abs(table[10 * (BATCH + 2) + 4] - last[BATCH + 2]).max() <= 1


def test_a_table_needs_labels_and_no_single_digit():
    with pytest.raises(RunError, match="not trained with labels"):
        sample(networks_of("fast"), SampleRequest(table=True))
    with pytest.raises(ConfigError, match="digit is 3; allowed is none"):
        SampleRequest(table=True, digit=3)


# -- pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("seed", [0, 3.5, 2**32 - 1])
def test_the_same_seed_is_the_same_picture(name, seed):
    networks = networks_of(name)
    request = SampleRequest(seed=seed, count=9)
    images = sample(networks, request)
    assert images.shape == (9, 28, 28)
    assert images.dtype == np.uint8
    assert np.array_equal(images, sample(networks, request))
    assert len(np.unique(images.reshape(9, -1), axis=0)) == 9
    assert not np.array_equal(images, sample(networks, SampleRequest(seed=1, count=9)))


@pytest.mark.parametrize("name", RECIPES)
def test_a_picture_does_not_depend_on_how_many_are_made(name):
    networks = networks_of(name)
    many = sample(networks, SampleRequest(seed=2, count=BATCH + 20))
    assert many.shape == (BATCH + 20, 28, 28)
    for count in (1, 3, BATCH + 1):
        few = sample(networks, SampleRequest(seed=2, count=count)).astype(int)
        assert np.abs(few - many[:count]).max() <= 1


def test_a_fractional_seed_gives_a_picture_near_its_neighbours_in_the_walk():
    networks = networks_of("dcgan")
    walk = [sample(networks, SampleRequest(seed=3 + k / 50, count=4)).astype(int) for k in range(51)]
    strides = [np.abs(later - earlier).mean() for earlier, later in pairwise(walk)]
    whole = np.abs(walk[-1] - walk[0]).mean()
    assert 0 < max(strides) < whole / 5


def test_pixels_are_the_generators_output_from_minus_one_to_one():
    values = torch.tensor([-1.0, 1.0, 0.0, -2.0, 2.0]).view(5, 1, 1, 1).expand(5, 1, 28, 28)
    assert to_bytes(values)[:, 0, 0].tolist() == [0, 255, 128, 0, 255]
    rows = latents(4, 6, 784).view(6, 28, 28)
    expected = (127.5 * (1 + 0.1 * rows)).round().byte()
    assert np.array_equal(sample(echo(), SampleRequest(seed=4, count=6)), expected.numpy())


@pytest.mark.parametrize("truncation", [0.3, 0.5, 1.0, 1.5])
def test_truncation_multiplies_the_latents(truncation):
    rows = latents(4, 6, 784).view(6, 28, 28)
    expected = 127.5 * (1 + 0.1 * truncation * rows)
    images = sample(echo(), SampleRequest(seed=4, count=6, truncation=truncation))
    assert np.abs(images - expected.numpy()).max() <= 0.51


def test_without_a_digit_all_ten_come_in_turn_across_batches(monkeypatch):
    monkeypatch.setattr(sampling, "BATCH", 7)
    images = sample(echo(conditional=True), SampleRequest(count=33))
    assert images[:, -1, -1].tolist() == [index % 10 for index in range(33)]


@pytest.mark.parametrize("digit", [0, 9, 3.0])
def test_a_digit_is_asked_for_in_every_picture(digit):
    images = sample(echo(conditional=True), SampleRequest(count=BATCH + 3, digit=digit))
    assert set(images[:, -1, -1].tolist()) == {int(digit)}


def test_a_digit_of_an_unconditional_run_is_refused():
    with pytest.raises(RunError, match="'run' was not trained with labels"):
        sample(networks_of("dcgan"), SampleRequest(digit=3))


def test_best_weights_are_the_average_where_there_is_one():
    both, raw_only = networks_of("dcgan"), networks_of("dcgan", ema=0.0)
    assert both.choose("best") is both.choose("ema") is both.ema
    assert both.choose("raw") is both.generator
    assert raw_only.choose("best") is raw_only.generator
    with pytest.raises(RunError, match="'run' has no EMA weights"):
        raw_only.choose("ema")
    with pytest.raises(RunError, match="'run' holds one generator only"):
        Networks("run", "mnist", 8, False, None, both.ema, both.discriminator).choose("raw")


def test_weights_that_are_asked_for_are_used():
    networks = networks_of("dcgan")
    best, ema, raw = (sample(networks, SampleRequest(count=2, weights=w)) for w in ("best", "ema", "raw"))
    assert np.array_equal(best, ema)
    assert not np.array_equal(raw, ema)


@pytest.mark.parametrize("name", RECIPES)
def test_sampling_leaves_the_global_generators_alone(name):
    networks = networks_of(name)
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()
    scores(networks, sample(networks, SampleRequest(seed=1.5, count=4)))
    assert torch.equal(torch.get_rng_state(), torch_before)
    for before, after in zip(numpy_before, np.random.get_state(), strict=True):
        assert np.array_equal(before, after)


# -- D's scores ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_scores_are_probabilities_and_the_same_each_time(name):
    networks = networks_of(name)
    images = sample(networks, SampleRequest(count=20))
    first = scores(networks, images)
    assert first.shape == (20,)
    assert first.dtype == np.float32
    assert ((first >= 0) & (first <= 1)).all()
    assert len(np.unique(first)) > 1
    assert np.array_equal(first, scores(networks, images))
    assert scores(networks, images[:3]) == pytest.approx(first[:3], abs=1e-6)


def test_a_score_is_the_sigmoid_of_ds_logit():
    networks = networks_of("conditional")
    images = sample(networks, SampleRequest(count=12))
    with torch.no_grad():
        pixels = torch.tensor(images / 127.5 - 1, dtype=torch.float32)[:, None]
        in_turn = networks.discriminator(pixels, torch.arange(12) % 10)
        sevens = networks.discriminator(pixels, torch.full((12,), 7))
    assert scores(networks, images) == pytest.approx(1 / (1 + np.exp(-in_turn.numpy())), abs=1e-6)
    assert scores(networks, images, 7) == pytest.approx(1 / (1 + np.exp(-sevens.numpy())), abs=1e-6)


# -- requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -0.5),
        ("seed", 2**32 - 0.5),
        ("seed", math.nan),
        ("seed", math.inf),
        ("seed", "3"),
        ("count", 0),
        ("count", MOST_DIGITS + 1),
        ("count", 2.5),
        ("count", math.nan),
        ("count", None),
        ("count", True),
        ("truncation", 0.29),
        ("truncation", 1.51),
        ("truncation", math.nan),
        ("digit", -1),
        ("digit", 10),
        ("digit", 2.5),
        ("digit", "3"),
        ("digit", True),
        ("weights", "worst"),
        ("weights", ["raw"]),
    ],
)
def test_a_bad_request_is_refused_by_its_field_and_value(field, value):
    with pytest.raises(ConfigError) as caught:
        SampleRequest(**{field: value})
    assert caught.value.values["field"] == field
    assert repr(value) in str(caught.value)


def test_whole_numbers_may_come_as_floats():
    request = SampleRequest(seed=2.0, count=12.0, digit=3.0)
    assert (request.count, request.digit) == (12, 3)
    assert sample(networks_of("conditional"), request).shape == (12, 28, 28)


def test_a_limit_of_the_caller_is_kept():
    assert SampleRequest(count=16, most=16).count == 16
    with pytest.raises(ConfigError, match="1 to 16"):
        SampleRequest(count=17, most=16)


JUNK = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers())
ODD = JUNK.map(lambda value: value)  # one strategy, so that a choice between it and a good one is even
WHOLE = st.integers(0, 9) | st.integers(0, 9).map(float)
FIELDS = {
    "seed": st.floats(0, 2**32 - 1) | ODD,
    "count": WHOLE | ODD,
    "truncation": st.floats(0.3, 1.5) | ODD,
    "digit": WHOLE | ODD,
    "weights": st.sampled_from(["best", "raw", "ema"]) | ODD,
}


@given(st.fixed_dictionaries({"most": st.just(20), "count": FIELDS.pop("count")}, optional=FIELDS))
def test_whatever_is_asked_gives_that_many_pictures_or_a_readable_error(asked):
    try:
        images = sample(echo(conditional=True), SampleRequest(**asked))
    except GanError:
        return
    assert images.shape == (asked["count"], 28, 28)
    assert asked.get("seed", 0) in SEEDS
    digit = asked.get("digit")
    assert digit is None or set(images[:, -1, -1].tolist()) == {digit}
