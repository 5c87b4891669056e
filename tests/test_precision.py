import os

import pytest
import torch

from gan import precision
from gan.errors import ConfigError
from gan.precision import available_cores, choose_device, serving_threads, settle_precision

CPU = torch.device("cpu")
MAY_HAVE_BF16 = precision._may_have_bf16


@pytest.fixture
def stopwatch(monkeypatch):
    """Step times to be measured from now on, and the precisions that were measured."""
    monkeypatch.setattr(precision, "_settled", {})
    seconds, measured = {"fp32": 1.0, "bf16": 1.0}, []

    def step_seconds(config, *_):
        measured.append(config.precision)
        return seconds[config.precision]

    monkeypatch.setattr(precision, "_step_seconds", step_seconds)
    monkeypatch.setattr(precision, "_may_have_bf16", lambda _: True)
    return seconds, measured


def test_a_really_measured_config_is_settled_and_otherwise_unchanged(digits, tiny, monkeypatch):
    monkeypatch.setattr(precision, "_settled", {})
    config = tiny(precision="auto")
    before = torch.get_rng_state()
    settled = settle_precision(config, digits, CPU)
    assert settled.precision in ("fp32", "bf16")
    assert settled.with_changes(precision="auto") == config
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stated", ["fp32", "bf16"])
def test_a_stated_precision_is_left_alone_and_nothing_is_measured(digits, tiny, stopwatch, stated):
    config = tiny(precision=stated)
    assert settle_precision(config, digits, CPU) is config
    assert stopwatch[1] == []


@pytest.mark.parametrize(("bf16_seconds", "chosen"), [(0.5, "bf16"), (2.0, "fp32"), (float("inf"), "fp32")])
def test_the_faster_precision_is_chosen(digits, tiny, stopwatch, bf16_seconds, chosen):
    stopwatch[0]["bf16"] = bf16_seconds
    assert settle_precision(tiny(precision="auto"), digits, CPU).precision == chosen


def test_where_there_are_no_bf16_instructions_nothing_is_measured(digits, tiny, stopwatch, monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    monkeypatch.setattr(precision, "_may_have_bf16", MAY_HAVE_BF16)
    stopwatch[0]["bf16"] = 0.01
    assert settle_precision(tiny(precision="auto"), digits, CPU).precision == "fp32"
    assert stopwatch[1] == []


def test_runs_of_the_same_networks_share_a_measurement(digits, tiny, stopwatch):
    for changes in ({}, {"seed": 5, "lr_g": 1e-3, "length": 7}):
        settle_precision(tiny(precision="auto", **changes), digits, CPU)
    assert stopwatch[1] == ["fp32", "bf16"]
    settle_precision(tiny(precision="auto", batch_size=16), digits, CPU)
    assert stopwatch[1] == 2 * ["fp32", "bf16"]


def test_a_precision_that_is_hopelessly_slow_is_given_up(digits, tiny):
    assert precision._step_seconds(tiny(), digits, CPU, give_up=0.0) == float("inf")
    assert 0 < precision._step_seconds(tiny(), digits, CPU, give_up=60.0) < 60


def test_auto_is_a_device_that_is_there():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "cuda:x", "hpu", "meta"])
def test_a_device_that_is_not_there_is_refused_by_its_name(name):
    with pytest.raises(ConfigError) as caught:
        choose_device(name)
    assert str(caught.value).startswith(f"The device {name!r} was asked for")


def test_the_cores_that_are_stated_count():
    assert available_cores({"CPU_CORES": "3"}) == 3


@pytest.mark.parametrize("stated", ["", "0", "-2", "two", "1.5"])
def test_cores_that_are_not_stated_are_those_this_process_may_use(stated, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 4}, raising=False)
    assert available_cores({"CPU_CORES": stated}) == 3
    assert available_cores({}) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores({}) == 1


def test_a_served_page_leaves_one_core_free_where_there_are_two():
    assert [serving_threads(cores) for cores in (1, 2, 8)] == [1, 1, 7]
