"""A run that is saved and loaded goes on bit for bit as one that was never interrupted."""

import subprocess
import sys
import threading
from copy import deepcopy
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from gan.config import RECIPES, recipe
from gan.networks import build_networks
from gan.runs import RunStore
from gan.sampling import Networks, SampleRequest, sample, scores
from gan.trainer import Trainer

CPU = torch.device("cpu")
PROJECT = Path(__file__).resolve().parent.parent
CASES = list(product(RECIPES, ("fp32", "bf16")))
# The 256 digits give 2 or 4 steps an epoch: the new process takes over in the middle of one. Without bf16
# instructions a step of it takes seconds.
STEPS = {"fp32": 3, "bf16": 1}

CONTINUE = """
import sys
from pathlib import Path
import numpy as np, torch
from gan.data import Digits
from gan.runs import RunStore
from gan.trainer import Trainer

folder, threads, *runs = sys.argv[1:]
torch.set_num_threads(int(threads))
arrays = np.load(Path(folder) / "digits.npz")
digits = Digits("mnist", *(torch.from_numpy(arrays[name]) for name in ("images", "labels")))
store = RunStore(Path(folder))
for run, steps in (given.split(":") for given in runs):
    saved = store.load(run)
    trainer = Trainer.from_state(
        saved.summary.config, digits, torch.device("cpu"), saved.tensors, saved.summary.seconds
    )
    for _ in range(int(steps)):
        trainer.step()
    store.save(run, trainer)
"""


def config_of(name, precision):
    return recipe(name).with_changes(precision=precision)


def trained(config, digits, steps):
    trainer = Trainer(config, digits, CPU)
    for _ in range(steps):
        trainer.step()
    return trainer


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        mine, other = tensor.numpy(), theirs[name].numpy()
        if name == "history":
            mine, other = mine[:, :4], other[:, :4]  # the fifth column is measured time
        assert mine.dtype == other.dtype
        assert mine.tobytes() == other.tobytes(), name


@pytest.fixture(scope="module")
def resumed(digits, tmp_path_factory):
    """The runs' folder, after a new process has continued every run."""
    folder = tmp_path_factory.mktemp("resumed")
    np.savez(folder / "digits.npz", images=digits.images.numpy(), labels=digits.labels.numpy())
    for case in CASES:
        RunStore(folder).save("-".join(case), trained(config_of(*case), digits, STEPS[case[1]]))
    runs = [f"{'-'.join(case)}:{STEPS[case[1]]}" for case in CASES]
    arguments = [folder, torch.get_num_threads(), *runs]
    command = [sys.executable, "-c", CONTINUE, *map(str, arguments)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return RunStore(folder)


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_resuming_in_a_new_process_gives_the_same_bits(resumed, digits, name, precision):
    saved = resumed.load(f"{name}-{precision}")
    straight = trained(config_of(name, precision), digits, 2 * STEPS[precision])
    assert saved.summary.steps == straight.steps == 2 * STEPS[precision]
    assert saved.summary.config == straight.config
    assert_same_bits(saved.tensors, straight.state())


@pytest.mark.parametrize("name", RECIPES)
def test_time_already_used_is_kept_and_added_to(digits, tiny, tmp_path, name):
    store = RunStore(tmp_path)
    trainer = trained(tiny(name), digits, 3)
    store.save("run", trainer)
    saved = store.load("run")
    again = Trainer.from_state(saved.summary.config, digits, CPU, saved.tensors, saved.summary.seconds)
    assert again.seconds == trainer.seconds
    assert again.history.rows.tobytes() == trainer.history.rows.tobytes()
    again.step()
    assert again.seconds > trainer.seconds


def test_a_run_saved_before_its_first_step_starts_as_it_would_have(digits, tiny, tmp_path):
    store = RunStore(tmp_path)
    store.save("run", Trainer(tiny(), digits, CPU))
    saved = store.load("run")
    resumed = Trainer.from_state(saved.summary.config, digits, CPU, saved.tensors, 0.0)
    resumed.step()
    assert_same_bits(resumed.state(), trained(tiny(), digits, 1).state())


def test_saving_does_not_disturb_the_run_that_is_saved(digits, tiny, tmp_path):
    store = RunStore(tmp_path)
    trainer = Trainer(tiny("classic"), digits, CPU)
    for _ in range(4):
        trainer.step()
        store.save("run", trainer)
    assert_same_bits(trainer.state(), trained(tiny("classic"), digits, 4).state())


def test_a_learning_rate_changed_on_the_way_is_kept(digits, tiny, tmp_path):
    store = RunStore(tmp_path)
    trainer = trained(tiny(), digits, 2)
    trainer.set_learning_rates(1e-5, 2e-3)
    store.save("run", trainer)
    saved = store.load("run")
    resumed = Trainer.from_state(saved.summary.config, digits, CPU, saved.tensors, saved.summary.seconds)
    for each in (trainer, resumed):
        each.step()
    assert_same_bits(resumed.state(), trainer.state())


@pytest.mark.parametrize("name", RECIPES)
def test_sampling_beside_the_training_changes_not_a_bit_of_it(digits, tiny, name):
    config = tiny(name, batch_size=32)
    quiet = trained(config, digits, 6)
    watched = Trainer(config, digits, CPU)
    copies = [watched.generator, watched.ema, watched.discriminator]
    networks = Networks("run", config.dataset, config.latent_dim, config.conditional, *map(deepcopy, copies))
    drawn, stop = threading.Semaphore(0), threading.Event()

    def keep_sampling():
        while not stop.is_set():
            request = SampleRequest(seed=0.5, count=8, weights="raw")
            scores(networks, sample(networks, request))
            build_networks(config)
            torch.rand(100)
            drawn.release()

    sampler = threading.Thread(target=keep_sampling)
    sampler.start()
    try:
        for _ in range(6):
            assert drawn.acquire(timeout=60)
            watched.step()
    finally:
        stop.set()
        sampler.join()
    assert_same_bits(watched.state(), quiet.state())
