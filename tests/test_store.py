"""Checkpoints that are whole or refused, and saves that survive a kill and a full disk."""

import math
import os
import random
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gan import checkpoint
from gan.config import RunConfig
from gan.data import Digits
from gan.errors import CheckpointError, RunError
from gan.runs import RunStore
from gan.trainer import Trainer

CONFIG = RunConfig(latent_dim=4, batch_size=8, precision="fp32", ema=0.9, length=10, unit="steps")


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 28, 28), generator=rng, dtype=torch.uint8)
    made = Trainer(
        CONFIG, Digits("mnist", images, torch.arange(64).to(torch.uint8) % 10), torch.device("cpu")
    )
    made.step()
    return made


@pytest.fixture
def store(tmp_path: Path, trainer: Trainer) -> RunStore:
    made = RunStore(tmp_path / "runs")
    made.save("good", trainer)
    return made


def test_a_saved_run_comes_back_whole(store: RunStore, trainer: Trainer) -> None:
    loaded = store.load("good")
    assert loaded.summary.config == CONFIG
    state = trainer.state()
    assert loaded.tensors.keys() == state.keys()
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in state.items())


@pytest.fixture(scope="module")
def content(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    store = RunStore(tmp_path_factory.mktemp("content"))
    store.save("x", trainer)
    return store.path("x").read_bytes()


damage_settings = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@damage_settings
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_noticed(data: st.DataObject, content: bytes, tmp_path: Path) -> None:
    header = int.from_bytes(content[:8], "little") + 8
    place = data.draw(st.one_of(st.integers(0, header), st.integers(header, len(content) - 1)))
    changed = bytearray(content)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    file = tmp_path / "flipped.safetensors"
    file.write_bytes(changed)
    with pytest.raises(CheckpointError):
        checkpoint.read(file)


@damage_settings
@given(data=st.data())
def test_a_file_cut_off_anywhere_is_refused(data: st.DataObject, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(CheckpointError):
        checkpoint.read(file)


def arrive(store: RunStore, file: Path, name: str) -> None:
    with store.arrival(file) as folder:
        store.admit(folder, name)


@pytest.mark.parametrize(
    "wrong", [b"", b"not a checkpoint", b"\xff" * 8 + b"{}", (2**40).to_bytes(8, "little") + b"x" * 99]
)
def test_what_is_no_checkpoint_is_refused_and_changes_nothing(
    wrong: bytes, store: RunStore, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.safetensors"
    file.write_bytes(wrong)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        arrive(store, file, "new")
    assert [run.name for run in store.list()] == ["good"]


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "run"),)

    file = tmp_path / "evil.safetensors"
    torch.save(Evil(), file)
    with pytest.raises(CheckpointError):
        checkpoint.read(file)
    assert not (tmp_path / "run").exists()


def test_wrong_shapes_and_versions_are_named(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = store.load("good")
    tensors = dict(good.tensors)
    tensors["generator.conv2.bias"] = torch.zeros(7)
    checkpoint.write(tmp_path / "shape.safetensors", tensors, good.summary)
    with pytest.raises(CheckpointError, match=r"generator\.conv2\.bias.*\(7,\), expected \(16,\)"):
        checkpoint.read(tmp_path / "shape.safetensors")
    monkeypatch.setattr(checkpoint, "VERSION", "3")
    with pytest.raises(CheckpointError, match="format 2; this program reads format 3"):
        store.load("good")


@pytest.mark.parametrize(
    "counters", [(10**400, 0.0, 0.0), (1, math.inf, 0.0), (1, 0.0, math.nan), (1, -1.0, 0.0)]
)
def test_counters_that_cannot_be_are_refused(
    counters: tuple[int, float, float], store: RunStore, tmp_path: Path
) -> None:
    good, file = store.load("good"), tmp_path / "counters.safetensors"
    checkpoint.write(
        file,
        good.tensors,
        replace(good.summary, **dict(zip(("steps", "seconds", "epochs"), counters, strict=True))),
    )
    with pytest.raises(CheckpointError):
        checkpoint.read(file)


def test_weights_that_are_not_numbers_are_refused(store: RunStore, tmp_path: Path) -> None:
    good, file = store.load("good"), tmp_path / "nan.safetensors"
    tensors = good.tensors | {"generator.conv2.bias": torch.full((16,), math.nan)}
    checkpoint.write(file, tensors, good.summary)
    with pytest.raises(CheckpointError, match=r"'generator\.conv2\.bias' is not finite"):
        checkpoint.read(file)


def test_only_a_file_from_outside_is_limited_in_size(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "MOST_BYTES_FROM_OUTSIDE", 1000)
    store.load("good")
    with pytest.raises(CheckpointError, match="at most"):
        arrive(store, store.path("good"), "copy")


def test_a_damaged_run_is_listed_with_the_reason(store: RunStore) -> None:
    store.path("good").write_bytes(b"damaged")
    (run,) = store.list()
    assert run.summary is None
    assert "not a readable checkpoint" in str(run.error)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "-x", "a" * 41, "a\\b", "a\nb", "a b"])
def test_a_name_cannot_leave_the_folder(name: str, store: RunStore) -> None:
    with pytest.raises(RunError):
        store.rename("good", name)
    assert store.exists("good")


def test_runs_are_renamed_and_deleted(store: RunStore) -> None:
    assert store.rename("good", "数字-1") == "数字-1"
    with pytest.raises(RunError, match="no run 'good'"):
        store.load("good")
    store.delete("数字-1")
    assert store.list() == []


@pytest.mark.timeout(300)
def test_every_file_found_after_a_hundred_kills_is_whole(store: RunStore) -> None:
    good = store.load("good")
    torch.set_num_threads(1)  # a forked child has no team of threads
    chance = random.Random(0)
    for _ in range(100):
        child = os.fork()
        if child == 0:
            while True:
                store._write("good", good, "[1/1]: loss_d: 1.000, loss_g: 1.000\n")
        time.sleep(chance.uniform(0.001, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert checkpoint.read(store.path("good")).summary == good.summary
    store._write("good", good, None)
    assert not list(store.path("good").parent.glob(".*"))


def test_a_full_disk_leaves_the_previous_checkpoint(store: RunStore) -> None:
    good, before = store.load("good"), store.path("good").read_bytes()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store._write("good", good, None)
        except CheckpointError as error:
            os._exit(0 if "previous checkpoint is untouched" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.path("good").read_bytes() == before
    assert sorted(p.name for p in store.path("good").parent.iterdir()) == [
        "checkpoint.safetensors",
        "loss.txt",
    ]


def test_a_slim_checkpoint_keeps_one_generator_in_half_precision(store: RunStore, tmp_path: Path) -> None:
    small = checkpoint.slim(store.load("good"))
    checkpoint.write(tmp_path / "slim.safetensors", small.tensors, small.summary)
    networks = checkpoint.read(tmp_path / "slim.safetensors").networks("slim", torch.device("cpu"))
    assert networks.generator is None
    assert networks.ema is not None


@pytest.mark.parametrize("file", ["letter.txt", "timeline/holiday.jpg", "loss.txt"])
def test_a_folder_of_somebody_elses_is_no_leftover(store: RunStore, file: str) -> None:
    theirs = store.root / "documents" / file
    theirs.parent.mkdir(parents=True)
    theirs.write_text("precious")
    os.utime(store.root / "documents", (0, 0))
    store.remove_leftovers(lambda _: False, 0)
    with pytest.raises(RunError, match="cannot be used"):
        store.rename("good", "documents")
    assert theirs.read_text() == "precious"
    assert store.exists("good")
