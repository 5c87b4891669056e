import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan.history import COLUMNS, History, history_csv, loss_text


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(1, 0.5, (count, len(COLUMNS))).astype(np.float32)


@given(st.lists(st.integers(0, 700), max_size=8))
def test_a_history_is_what_was_appended_to_it(lengths):
    history, parts = History(), [rows(length, seed) for seed, length in enumerate(lengths)]
    for part in parts:
        history.extend(part)
    expected = np.concatenate([rows(0), *parts])
    assert len(history) == len(expected)
    assert np.array_equal(history.rows, expected)
    for index, name in enumerate(COLUMNS):
        assert np.array_equal(history.column(name), expected[:, index])


def test_a_history_made_of_rows_keeps_them_whatever_happens_to_the_array():
    given_rows = rows(5)
    history = History(given_rows)
    before = given_rows.copy()
    given_rows[:] = 0
    history.extend(rows(3, seed=1))
    assert np.array_equal(history.rows, np.concatenate([before, rows(3, seed=1)]))


@given(st.integers(0, 50), st.lists(st.integers(1, 1500), max_size=5))
def test_a_view_is_the_history_as_it_was(first, later):
    history = History()
    history.extend(rows(first))
    view = history.view()
    for seed, length in enumerate(later):
        history.extend(rows(length, seed=seed + 1))
    assert len(view) == first
    assert np.array_equal(view.rows, rows(first))
    assert len(view.curves()) == first


def test_a_view_that_grows_leaves_the_history_alone():
    history = History()
    history.extend(rows(5))
    view = history.view()
    view.extend(rows(2, seed=1))
    history.extend(rows(2, seed=2))
    assert np.array_equal(history.rows[5:], rows(2, seed=2))
    assert np.array_equal(view.rows[5:], rows(2, seed=1))


@given(st.integers(0, 900), st.integers(1, 60))
def test_curves_are_means_over_equal_runs_of_steps(count, points):
    history = History(rows(count))
    curves = history.curves(points)
    size = 1
    while count > size * points:
        size += 1
    runs = [range(start, min(start + size, count)) for start in range(0, count, size)]
    if len(runs) > 1 and len(runs[-1]) < size / 2:
        runs[-2:] = [range(runs[-2].start, count)]
    assert len(curves) == len(runs) <= points
    for index, steps in enumerate(runs):
        assert curves.steps[index] == np.mean([step + 1 for step in steps])
        for column, name in enumerate(COLUMNS):
            mean = np.mean([float(history.rows[step, column]) for step in steps])
            assert curves.values[name][index] == pytest.approx(mean, rel=1e-6)


def test_a_short_history_is_shown_step_by_step():
    history = History(rows(400))
    curves = history.curves()
    assert np.array_equal(curves.steps, np.arange(1, 401))
    assert np.array_equal(curves.values["loss_g"], history.column("loss_g"))


def test_means_stay_exact_over_many_steps():
    many = np.full((1_000_000, len(COLUMNS)), 0.1, np.float32)
    many[:, 1] = 1000.1
    values = History(many).curves(1).values
    assert values["loss_d"][0] == np.float32(0.1)
    assert values["loss_g"][0] == np.float32(1000.1)


@given(st.integers(0, 60), st.integers(1, 20))
def test_loss_text_has_the_mean_losses_of_every_finished_epoch(count, per_epoch):
    history = History(rows(count))
    lines = loss_text(history, per_epoch, 10).splitlines()
    finished = count // per_epoch
    assert len(lines) == finished
    for epoch, line in enumerate(lines):
        chosen = history.rows[epoch * per_epoch : (epoch + 1) * per_epoch]
        words = line.replace(",", "").split()
        assert words[0] == f"[{epoch + 1}/{max(10, finished)}]:"
        assert words[1::2] == ["loss_d:", "loss_g:"]
        assert float(words[2]) == pytest.approx(chosen[:, 0].mean(), abs=6e-4)
        assert float(words[4]) == pytest.approx(chosen[:, 1].mean(), abs=6e-4)


def test_loss_text_is_written_as_in_the_document():
    history = History(np.array([[0.9126, 1.2344, 0, 0, 0], [0.9134, 1.2336, 0, 0, 0]], np.float32))
    assert loss_text(history, 2, 10) == "[1/10]: loss_d: 0.913, loss_g: 1.234\n"
    assert loss_text(history, 1, 0).splitlines()[1] == "[2/2]: loss_d: 0.913, loss_g: 1.234"


@given(st.integers(0, 50))
def test_the_csv_reads_back_as_the_history(count):
    history = History(rows(count))
    header, *lines = csv.reader(io.StringIO(history_csv(history)))
    assert header == ["step", *COLUMNS]
    assert [int(line[0]) for line in lines] == list(range(1, count + 1))
    values = np.array([line[1:] for line in lines], np.float64).reshape(-1, len(COLUMNS))
    np.testing.assert_allclose(values, history.rows, rtol=1e-5)
