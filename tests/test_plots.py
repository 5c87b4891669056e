import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from gan.history import COLUMNS, LOOK_COLUMNS, History
from gan.plots import (
    COLOR_D,
    COLOR_G,
    _spread,
    grid_png,
    loss_plot_png,
    quality_plot_png,
    score_plot_png,
    sketch_png,
)

PLOTS = [loss_plot_png, score_plot_png]


def opened(png):
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    image = Image.open(io.BytesIO(png))
    image.verify()
    image = Image.open(io.BytesIO(png))
    return image.convert("RGBA") if image.mode == "P" else image  # plots have a palette


def curves(count, seed=0, **columns):
    values = np.random.default_rng(seed).random((count, len(COLUMNS))).astype(np.float32)
    for name, value in columns.items():
        values[:, COLUMNS.index(name)] = value
    return History(values).curves(1000)


def pictures(count):
    return np.random.default_rng(1).integers(0, 256, (count, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (8, 8), (64, 8), (10, 4), (3, 8), (500, 23)])
def test_a_grid_shows_each_picture_twice_as_large_in_its_place(count, columns):
    images = pictures(count)
    sheet = np.asarray(opened(grid_png(images, columns)))
    rows = -(-count // columns)
    assert sheet.shape == (58 * rows - 2, 58 * columns - 2)
    covered = np.zeros(sheet.shape, bool)
    for index, image in enumerate(images):
        place = np.s_[58 * (index // columns) :, 58 * (index % columns) :]
        assert np.array_equal(sheet[place][:56:2, :56:2], image)
        assert np.array_equal(sheet[place][1:56:2, 1:56:2], image)
        covered[place][:56, :56] = True
    assert not sheet[~covered].any()


def test_scores_stand_below_their_pictures():
    images = pictures(10)
    plain = np.asarray(opened(grid_png(images, 4)))
    sheets = [
        np.asarray(opened(grid_png(images, 4, np.full(10, score, np.float32))))
        for score in (0.25, 0.254, 0.75)
    ]
    assert plain.shape == (58 * 3 - 2, 58 * 4 - 2)
    for sheet in sheets:
        assert sheet.shape == (150 * 3 - 2, 114 * 4 - 2)
        for index in range(10):
            top, left = 150 * (index // 4), 114 * (index % 4)
            assert np.array_equal(sheet[top : top + 112 : 4, left : left + 112 : 4], images[index])
            assert (sheet[top + 113 : top + 146, left : left + 112] > 100).any()
    assert np.array_equal(sheets[0], sheets[1])  # two decimals
    assert not np.array_equal(sheets[0], sheets[2])


@pytest.mark.parametrize("draw", PLOTS)
@pytest.mark.parametrize("points", [0, 1, 2, 1000])
def test_a_plot_of_any_length_is_a_png_without_background(draw, points):
    image = opened(draw(curves(points)))
    assert image.mode == "RGBA"
    alpha = np.asarray(image)[:, :, 3]
    corners = alpha[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert not corners.any()
    assert (alpha == 0).mean() > 0.3
    assert (alpha > 240).any()


@pytest.mark.parametrize("draw", PLOTS)
def test_an_opaque_plot_stands_on_white(draw):
    pixels = np.asarray(opened(draw(curves(20), opaque=True)).convert("RGBA"))
    assert (pixels[:, :, 3] == 255).all()
    assert (pixels[0, 0, :3] == 255).all()


def rows_with(png, color, columns):
    """Heights in the picture at which `color` is seen, within some of its columns."""
    pixels = np.asarray(opened(png)).astype(int)[:, columns]
    near = (np.abs(pixels[:, :, :3] - ImageColor.getrgb(color)).max(axis=2) < 20) & (pixels[:, :, 3] > 60)
    return set(np.flatnonzero(near.any(axis=1)).tolist())


INSIDE, MARGIN = np.s_[75:680], np.s_[692:]  # of the 800 columns: the axes, and where the labels are


@pytest.mark.parametrize("draw", PLOTS)
@pytest.mark.parametrize("points", [1, 2, 1000])
def test_both_lines_are_seen_in_their_colours(draw, points):
    png = draw(curves(points))
    for color in (COLOR_D, COLOR_G):
        assert rows_with(png, color, INSIDE)
    assert not rows_with(draw(curves(0)), COLOR_D, INSIDE)


@pytest.mark.parametrize(
    "ends", [(0.5, 0.5), (0.5, 0.51), (1.0, 1.0), (0.0, 0.0), (1.0, 0.95), (0.02, 0.0), (0.2, 0.8)]
)
def test_the_drawn_labels_never_overlap(ends):
    upper, lower = ends
    for png in (
        score_plot_png(curves(50, d_real=upper, d_fake=lower)),
        loss_plot_png(curves(50, loss_d=upper, loss_g=lower)),
    ):
        above, below = rows_with(png, COLOR_D, MARGIN), rows_with(png, COLOR_G, MARGIN)
        if upper < lower:
            above, below = below, above
        assert above
        assert below
        if upper != lower:
            assert max(above) < min(below)
        assert not above & below
        assert min(above | below) > 0
        assert max(above | below) < 367


FINITE = st.floats(-1e6, 1e6)


@given(st.tuples(FINITE, FINITE), FINITE, st.floats(1e-3, 1e6))
def test_two_labels_stay_apart_and_inside_and_in_order(ends, low, span):
    high = low + span
    places = _spread(list(ends), (low, high))
    slack = 1e-9 * max(abs(low), abs(high))
    assert abs(places[0] - places[1]) >= 0.13 * (high - low) - slack
    assert all(low - slack <= place <= high + slack for place in places)
    if ends[0] != ends[1]:
        assert (places[0] > places[1]) == (ends[0] > ends[1])


@given(st.floats(-0.8, 0.4), st.floats(0.8, 1.8))
def test_labels_that_are_apart_stay_at_their_lines(first, second):
    assert _spread([first, second], (-1.0, 2.0)) == pytest.approx([first, second])


def test_one_spike_does_not_flatten_the_losses():
    values = np.full((1000, len(COLUMNS)), 0.5, np.float32)
    values[:, COLUMNS.index("loss_g")] = 1.0
    values[500, :] = 1000
    png = loss_plot_png(History(values).curves(1000))
    d, g = (rows_with(png, color, np.s_[75:300]) for color in (COLOR_D, COLOR_G))
    assert np.mean(list(d)) - np.mean(list(g)) > 100


def test_plots_drawn_by_four_threads_at_once_are_the_plots_drawn_alone():
    def draw(seed):
        return (
            loss_plot_png(curves(100, seed)),
            score_plot_png(curves(100, seed)),
            grid_png(pictures(64), 8, np.linspace(0, 1, 64, dtype=np.float32)),
        )

    alone = [draw(seed) for seed in range(4)]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(4))) == alone


def test_the_quality_plot_shows_distance_noise_and_floor() -> None:
    looks = np.zeros((6, len(LOOK_COLUMNS)), np.float32)
    looks[:, 0] = [10, 100, 200, 400, 800, 1600]
    looks[:, 1], looks[:, 2] = [500, 200, 90, 30, 12, 8], 2
    drawn = opened(quality_plot_png(looks, 3.0)).convert("RGBA")
    assert drawn.size == (800, 368)
    pixels = np.asarray(drawn, np.int16)
    orange = np.array([int(COLOR_G[place : place + 2], 16) for place in (1, 3, 5)])
    near = (np.abs(pixels[..., :3] - orange).max(-1) < 40) & (pixels[..., 3] > 128)
    columns = np.flatnonzero(near.any(0))
    assert columns[0] < 120
    assert columns[-1] > 600
    left = np.flatnonzero(near[:, columns[0] + 5 : columns[0] + 15].any(1)).mean()
    right = np.flatnonzero(near[:, 640:680].any(1)).mean()
    assert right > left + 50  # it falls, and the picture's rows count downwards
    higher = quality_plot_png(looks, 6.0)
    assert higher != quality_plot_png(looks, 3.0)


def test_one_look_and_a_look_below_the_floor_can_be_drawn() -> None:
    looks = np.zeros((1, len(LOOK_COLUMNS)), np.float32)
    looks[:, 1] = 0.0
    assert opened(quality_plot_png(looks, 3.0)).size == (800, 368)


def test_a_sketch_is_the_grid_in_sixteen_shades_and_small() -> None:
    images = pictures(64)
    sketch = opened(sketch_png(images, 8))
    assert np.asarray(sketch.convert("L")).shape == (231, 231)
    assert np.abs(np.asarray(sketch.convert("L"), np.int16)[:28, :28] - images[0]).max() <= 9
    assert len(np.unique(np.asarray(sketch.convert("L")))) <= 16
    assert len(sketch_png(images, 8)) < 0.6 * len(grid_png(images, 8, scale=1))
