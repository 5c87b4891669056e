"""What the Sample tab makes of its controls, and one digit close up."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from gan.config import RunConfig
from gan.data import Digits
from gan.errors import ConfigError
from gan.networks import build_networks
from gan.sampling import Networks, SampleRequest, sample, scores
from gan.trainer import Trainer
from gan.ui import closeup
from gan.ui.live import PictureStore
from gan.ui.sample_tab import digit_choice, draw, request_of


@pytest.fixture
def networks(tiny: Callable[..., RunConfig], digits: Digits) -> Networks:
    return Trainer(tiny("conditional"), digits, torch.device("cpu")).networks("mine")


@pytest.fixture
def unlabelled(tiny: Callable[..., RunConfig], digits: Digits) -> Networks:
    return Trainer(tiny("classic"), digits, torch.device("cpu")).networks("mine")


def test_the_digit_picker_says_what_is_drawn() -> None:
    assert [digit_choice(choice) for choice in ("mixed", "7", "table")] == [
        (None, False),
        (7, False),
        (None, True),
    ]
    for wrong in ("", "10", "-1", "x"):
        with pytest.raises(ConfigError, match="allowed is mixed, 0 to 9, table"):
            digit_choice(wrong)


def test_the_digit_picker_counts_only_where_labels_are_known(
    networks: Networks, unlabelled: Networks
) -> None:
    assert request_of(networks, 1, 20.0, 1, "ema", "7").digit == 7
    tables = [request_of(networks, 1, count, 1, "ema", "table") for count in (1, 20.0, 64, 256)]
    assert [(request.table, request.count) for request in tables] == [
        (True, 10),
        (True, 20),
        (True, 60),
        (True, 250),
    ]
    with pytest.raises(ConfigError, match="count is 0"):
        request_of(networks, 1, 0, 1, "ema", "table")
    asked = request_of(unlabelled, 1, 20.0, 1, "ema", "7")
    assert (asked.digit, asked.table, asked.count) == (None, False, 20)


def test_a_table_has_ten_columns_and_others_eight(networks: Networks) -> None:
    assert draw(networks, SampleRequest(count=40, table=True)).columns == 10
    assert draw(networks, SampleRequest(count=40)).columns == 8
    assert draw(networks, SampleRequest(count=3)).columns == 3
    assert draw(networks, SampleRequest(count=200)).columns == 16


def test_weights_that_are_not_there_are_replaced_by_those_that_are(unlabelled: Networks) -> None:
    assert draw(unlabelled, SampleRequest(count=2, weights="ema")).weights == "raw"


def test_a_closeup_tells_of_the_digit_that_was_clicked(networks: Networks) -> None:
    request = SampleRequest(seed=3, count=12, digit=4)
    found = closeup.look_at(networks, request, 5)
    images = sample(networks, request)
    assert (found.image == images[5]).all()
    assert found.score == pytest.approx(scores(networks, images, 4)[5])
    assert found.reading is not None
    assert 0.1 <= found.reading[1] <= 1
    assert found.pixels is not None
    assert found.features is None
    whole = closeup.with_features(found)
    assert whole.features is not None


def test_a_closeup_of_other_pictures_has_only_ds_score(tiny: Callable[..., RunConfig]) -> None:
    config = tiny("fast", dataset="fashion-mnist")
    generator, discriminator = build_networks(config)
    fashion = Networks("x", "fashion-mnist", 8, False, generator.eval(), None, discriminator.eval())
    found = closeup.look_at(fashion, SampleRequest(count=2), 1)
    assert (found.reading, found.pixels) == (None, None)
    assert 0 <= found.score <= 1


@pytest.mark.parametrize(("language", "word"), [("en", "The judge reads"), ("zh", "评判器读作")])
def test_the_closeup_is_told_in_the_pages_language_with_pictures_that_exist(
    networks: Networks, language: str, word: str
) -> None:
    pictures = PictureStore()
    found = closeup.with_features(closeup.look_at(networks, SampleRequest(count=2), 1))
    text = closeup.html(found, pictures, language)
    assert word in text
    addresses = [part.split('"')[0] for part in text.split('src="')[1:]]
    assert len(addresses) == 3
    for address in addresses:
        assert pictures.get(address.split("/")[-1].removesuffix(".png")) is not None


def test_names_from_visitors_are_escaped(networks: Networks) -> None:
    found = closeup.look_at(networks, SampleRequest(count=1), 0)
    object.__setattr__(found, "run", "<b>x</b>")
    assert "<b>x</b>" not in closeup.html(found, PictureStore(), "en")
    assert np.isfinite(found.score)
